"""Where it shows that something did not load: at once, or after a warning that was passed over."""

from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import kinds, pattern

LOADED = kinds(Kind.EXCEPTION, Kind.SHELL)
EXTENSION_GONE = pattern(
    r"'_OpNamespace'|No module named 'vllm\.|[Cc]ould not run '_C|does not exist"
)
"""What a run ends with after an extension did not load and vLLM went on with a warning."""
