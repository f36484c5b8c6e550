"""Pages of un-locc as its client puts them into a message; nothing is sent."""

import base64

from line_server import serve
from un_locc import UnLOCC

CLIENT = UnLOCC(api_key="unused")


def render(text, request):
    message = {"role": "user", "content": text, "compressed": True}
    (made,) = CLIENT._compress_messages([message])
    urls = [part["image_url"]["url"] for part in made["content"]]
    return [base64.b64decode(url.partition(",")[2]) for url in urls], {}


serve(render)
