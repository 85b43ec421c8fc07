"""imitable: can a person learn to imitate one neuron?"""

__version__ = "0.1.0"
