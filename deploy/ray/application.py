"""The REST API as a Ray Serve application: replicas of our own engine, each with a GPU of its own.

    PYTHONPATH=. serve run deploy/ray/serve.yaml         from the repository's root

The page is not part of it: Gradio keeps sessions in a process, and Ray sends each request to any replica. Put
`app.py --engine remote --base-url http://…:8000/v1` in front (docs/deploy-ray.md).
"""

from fastapi import FastAPI
from ray import serve

from deploy.ray.rest import rest_api
from qwen_demo.service.logs import set_up_logging
from qwen_demo.settings import apply_environment, load_settings, process_environment


def build(arguments: dict) -> serve.Application:
    """For `import_path`. `arguments["flags"]` are those of `app.py`; the rest is in serve.yaml."""
    flags = [str(flag) for flag in arguments.get("flags", [])]

    def in_the_replica() -> FastAPI:
        settings = load_settings(flags)
        apply_environment(process_environment())
        set_up_logging(as_json=settings.log_json)
        return rest_api(settings)

    @serve.deployment(name="replica")
    @serve.ingress(in_the_replica)
    class Replica:
        def check_health(self) -> None:
            """Ray asks every few seconds and replaces a replica that raises."""
            service = self.app.state.service
            if service.is_lost:
                raise RuntimeError(service.status().detail)

    return Replica.bind()
