"""The registry, in the form that 0.8.5 and later have."""

from typing import Literal

QuantizationMethods = Literal["fp8", "modelopt"]
