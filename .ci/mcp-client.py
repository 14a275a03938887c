"""Asks `blastwave mcp` through the official Python SDK, and compares with the command line.

Usage: mcp-client.py BINARY
"""

import asyncio
import json
import logging
import subprocess
import sys
from pathlib import Path

from mcp import Client, StdioServerParameters, stdio_client

ROOT = Path(__file__).resolve().parent.parent / "topologies"
CHANGE = "changes/webshop/payments-v4.yaml"
CALLS = [
    ("check_change", {"change": [CHANGE]}, ["check", "webshop.yaml", "--change", CHANGE]),
    ("explain", {"breaks": ["payments"]}, ["explain", "webshop.yaml", "--break", "payments", "--trials", "1000"]),
    ("advise", {"breaks": ["payments"], "trials": 500}, ["advise", "webshop.yaml", "--break", "payments", "--trials", "500"]),
    ("topology_of", {"services": ["payments"]}, ["show", "webshop.yaml", "--service", "payments"]),
]
REFUSED = [
    ("check_change", {"topology": "../Cargo.toml"}, "not below the root"),
    ("check_change", {"change": ["/etc/passwd"]}, "not below the root"),
    ("check_change", {"chnage": []}, "did you mean `change`?"),
    ("validate", {"files": 3}, "expected a list of texts"),
]


def written(binary: str, line: list[str]) -> object:
    """Returns what the command line writes."""
    line = [binary, *line, "--format", "json", "--detail", "summary", "--quiet"]
    return json.loads(subprocess.run(line, cwd=ROOT, stdout=subprocess.PIPE, check=False).stdout)


async def ask(binary: str, mode: str) -> None:
    """Asks everything in one session."""
    server = StdioServerParameters(command=binary, args=["mcp", "webshop.yaml", "--root", str(ROOT)])
    async with Client(stdio_client(server), mode=mode) as client:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} >= {call[0] for call in CALLS}, tools
        # All at once; the client checks every result against the schema of its tool.
        answers = await asyncio.gather(*(client.call_tool(name, arguments) for name, arguments, _ in CALLS))
        for (name, _, line), answer in zip(CALLS, answers):
            assert not answer.is_error, answer
            assert answer.structured_content == written(binary, line), name
        for name, arguments, expected in REFUSED:
            answer = await client.call_tool(name, arguments)
            assert answer.is_error and expected in answer.content[0].text, answer
        for resource in (await client.list_resources()).resources:
            assert (await client.read_resource(resource.uri)).contents[0].text, resource
        print(f"{mode}: {len(tools)} tools over protocol {client.protocol_version}: all is well")


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    program = str(Path(sys.argv[1]).resolve())
    for mode in ("legacy", "auto"):
        asyncio.run(asyncio.wait_for(ask(program, mode), timeout=300))
