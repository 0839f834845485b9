"""petrel verify: everything that can be damaged or lost, looked at and told."""
