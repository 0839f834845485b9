"""Names for `streaming.vision`."""


class VisionDataset:
    """Base class of datasets that this benchmark does not use."""


class CIFAR10(VisionDataset):
    """Likewise."""
