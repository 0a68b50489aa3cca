"""Qdrant's HTTP protocol, as much as is spoken to it here, over the local mode of its own client.

Bodies and answers are those of the client's models, which are made from Qdrant's own description of its API.
"""

import json

import httpx
from qdrant_client import QdrantClient, models


class QdrantServer:
    """Attributes:
    bodies: of all requests.
    """

    def __init__(self, key: str):
        self._key, self._local = key, QdrantClient(":memory:")
        self.bodies: list[bytes] = []
        self.transport = httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.content)
        if request.headers.get("api-key") != self._key:
            return httpx.Response(401, json={"status": {"error": "no key"}})
        body = json.loads(request.content) if request.content else {}
        _, name, *rest = request.url.path.strip("/").split("/")
        result = self._done(request.method, name, "/".join(rest), body)
        return httpx.Response(200, json={"result": result, "status": "ok", "time": 0.0})

    def _done(self, method: str, name: str, what: str, body: dict):
        local = self._local
        match method, what:
            case "GET", "exists":
                return {"exists": local.collection_exists(name)}
            case "PUT", "":
                return local.create_collection(name, models.VectorParams(**body["vectors"]))
            case "DELETE", "":
                return local.delete_collection(name)
            case "PUT", "points":
                points = [models.PointStruct(**point) for point in body["points"]]
                return local.upsert(name, points).model_dump(mode="json")
            case "POST", "points/delete":
                return local.delete(name, models.PointIdsList(**body)).model_dump(mode="json")
            case "POST", "points/query":
                found = local.query_points(
                    name, query=models.QueryRequest(**body).query, limit=body["limit"], with_payload=False
                )
                return found.model_dump(mode="json")
        raise AssertionError(f"{method} {what}")
