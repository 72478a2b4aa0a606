"""Knobs of user tokens."""

from typing import Annotated

from msgspec import Meta, Struct

from nova.settings.kinds import Generated, about


class Tokens(Struct, frozen=True, kw_only=True):
    """User tokens, signed by the host app."""

    secret: Annotated[
        Generated, about("Shared secret of HS256 user tokens; generated at the first start.")
    ] = ""
    jwks_url: Annotated[
        str, about("Where to fetch public keys (RS256, ES256, EdDSA) of user tokens.")
    ] = ""
    jwks_file: Annotated[
        str, about("A file of public keys (JWKS), read at the start, instead of `tokens.jwks_url`.")
    ] = ""
    audience: Annotated[str, about("`aud` that user tokens must have; empty for any.")] = ""
    issuer: Annotated[str, about("`iss` that user tokens must have; empty for any.")] = ""
    require_expiry: Annotated[
        bool, about("Refuse user tokens without `exp`; false only to run other projects' tests.")
    ] = True
    max_lifetime_s: Annotated[
        float, Meta(ge=0, le=10**9), about("Longest lifetime of a user token; 0 for any.")
    ] = 0.0
    leeway_s: Annotated[float, Meta(ge=0, le=300), about("Seconds by which clocks may differ.")] = (
        5.0
    )
    create_users: Annotated[
        bool, about("Create a user for a valid token whose `sub` is not known yet.")
    ] = False
    signing_secret: Annotated[
        Generated, about("Signs cursors and links in mail; generated at the first start.")
    ] = ""
