"""The Gradio page and the named endpoints that `gradio_client` calls. Knows the service, no engine."""

import importlib.util
import sys

# Gradio tries to import matplotlib for each value that it streams. Where it is missing, each try
# searches the whole path anew, which under load is a good part of what the page costs.
if importlib.util.find_spec("matplotlib") is None:
    sys.modules.setdefault("matplotlib", None)  # type: ignore[arg-type]  # None there makes an import fail at once
