"""Just the names that mosaicml-streaming imports at start; nothing of them is used here.

The torchvision that it asks for is built for one exact torch, and not for the one that all peers share.
"""
