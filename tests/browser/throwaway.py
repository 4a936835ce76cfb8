"""A site of pages that are as they must not be, and one that is as it must, to try the bed on; prints its port."""

import socket
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

CSP = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'"
OUTSIDE = "http://outside.example/x.png"
STYLE = """
body { color: #111; background: #fff; font-family: "Noto Sans", "Noto Sans Devanagari", NanumGothic, sans-serif; }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #111; } }
"""
SCRIPTS = {
    "well.js": "document.querySelector('output').textContent = 'scripts are on';",
    "complains.js": "console.error('the page complains');",
    "throws.js": "throw new Error('the page throws');",
    "socket.js": "new WebSocket('ws://outside.example/live');",
}
BODIES = {
    "well": "<form action='/well'><label>Name <input name='name'></label> <button>Ask</button></form>"
    "<p lang='hi'>भारत</p><p lang='ko'>대한민국</p><output></output><script src='/well.js'></script>",
    "outside": f"<img alt='' src='{OUTSIDE}'>",
    "led-outside": "<img alt='' src='/away'>",
    "unlabelled": "<input name='name'>",
    "pale": "<p style='color: #ccc; background: #fff'>hardly to be read</p>",
    "styled": "<p style='color: red'>by its own policy this is not red</p>",
    "inline": "<script>document.title = 'it ran';</script>",
    **{name.partition(".")[0]: f"<script src='/{name}'></script>" for name in SCRIPTS if name != "well.js"},
}
UNGUARDED = {"outside", "led-outside", "pale", "socket"}  # no policy of the page's own stops these


async def page(request: Request) -> Response:
    """A page by its name."""
    name = request.path_params["name"]
    if name == "away":
        return RedirectResponse(OUTSIDE)
    if name == "style.css":
        return Response(STYLE, media_type="text/css")
    if name in SCRIPTS:
        return Response(SCRIPTS[name], media_type="text/javascript")
    if name not in BODIES:
        return HTMLResponse("<!doctype html><title>Not here</title>", status_code=404)
    text = (
        f"<!doctype html><html lang='en'><title>{name}</title><link rel='icon' href='data:,'>"
        f"<link rel='stylesheet' href='/style.css'><main><h1>{name}</h1>{BODIES[name]}</main></html>"
    )
    return HTMLResponse(text, headers={} if name in UNGUARDED else {"Content-Security-Policy": CSP})


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0)) as door:
        sys.stdout.write(f"{door.getsockname()[1]}\n")
        sys.stdout.flush()
        app = Starlette(routes=[Route("/{name}", page)])
        uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off")).run(sockets=[door])
