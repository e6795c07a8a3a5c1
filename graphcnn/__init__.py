"""Convolutional networks whose gradients are derived, drawn and compiled to C."""
