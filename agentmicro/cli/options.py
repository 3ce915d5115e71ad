"""The flags that several commands share; each that is about language models has a variable of the same name."""

from pathlib import Path
from typing import Annotated

import typer

What = Annotated[str, typer.Argument(metavar="SCENARIO|PHENOMENON", help="a name from `list`, or a .toml file")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KNOB=VALUE", help="another value for a knob")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]

RecordAt = Annotated[
    Path | None,
    typer.Option(
        "--record",
        metavar="PATH",
        envvar="AGENTMICRO_RECORD",
        help="where replies are kept; default: record.sqlite in --out, else your own record",
    ),
]
ModeIs = Annotated[
    str,
    typer.Option(
        "--mode",
        metavar="record|replay|off",
        envvar="AGENTMICRO_MODE",
        help="keep every reply; use kept ones only and call nobody; or neither",
    ),
]
MaxCost = Annotated[
    float | None,
    typer.Option("--max-cost", min=0, envvar="AGENTMICRO_MAX_COST", help="stop at so many USD"),
]
MaxTokens = Annotated[
    int | None,
    typer.Option("--max-tokens", min=0, envvar="AGENTMICRO_MAX_TOKENS", help="stop at so many tokens"),
]
MaxCalls = Annotated[
    int | None,
    typer.Option("--max-calls", min=0, envvar="AGENTMICRO_MAX_CALLS", help="stop at so many calls"),
]
MaxSeconds = Annotated[
    float | None,
    typer.Option("--max-seconds", min=0, envvar="AGENTMICRO_MAX_SECONDS", help="stop after so long"),
]
Concurrency = Annotated[
    int | None,
    typer.Option(
        "--concurrency",
        min=1,
        envvar="AGENTMICRO_MAX_CONCURRENCY",
        help="the most calls in flight",
    ),
]
PriceIn = Annotated[
    float | None,
    typer.Option(
        "--price-in",
        min=0,
        envvar="AGENTMICRO_PRICE_IN",
        help="USD per million tokens sent, where nobody knows it",
    ),
]
PriceOut = Annotated[
    float | None,
    typer.Option(
        "--price-out",
        min=0,
        envvar="AGENTMICRO_PRICE_OUT",
        help="USD per million tokens received",
    ),
]
Via = Annotated[
    str,
    typer.Option(
        "--transport",
        metavar="direct|litellm",
        envvar="AGENTMICRO_TRANSPORT",
        help="how to reach the server; default: the model decides",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="ask models that cost money without a question")]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="say how many calls, tokens and USD to expect; call nobody"),
]
