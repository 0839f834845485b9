"""The demo: real digits, disagreeing labels, every step, a trained model and its predictions back in the lake."""
