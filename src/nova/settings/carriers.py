"""Knobs of push, mail and other connections that Nova opens."""

from typing import Annotated, Literal

from msgspec import Struct

from nova.settings.kinds import Natural, Port, Seconds, Secret, about


class Fcm(Struct, frozen=True, kw_only=True):
    """Push to Android (and whatever else is registered with Firebase), through FCM."""

    credentials: Annotated[
        str, about("File of the service account, in Google's JSON format; empty for no FCM.")
    ] = ""
    url: Annotated[str, about("Address of FCM; another one for a simulator.")] = (
        "https://fcm.googleapis.com"
    )


class Apns(Struct, frozen=True, kw_only=True):
    """Push to Apple's devices, through APNs."""

    key: Annotated[str, about("File of the signing key (.p8); empty for no APNs.")] = ""
    key_id: Annotated[str, about("The key's id, 10 characters.")] = ""
    team_id: Annotated[str, about("The team's id, 10 characters.")] = ""
    topic: Annotated[
        str, about("The app's bundle id, for devices that were registered without one.")
    ] = ""
    environment: Annotated[
        Literal["production", "sandbox"],
        about("Host for devices that were registered without one; Nova tries the other one, too."),
    ] = "production"
    production_url: Annotated[str, about("Address of the production host.")] = (
        "https://api.push.apple.com"
    )
    sandbox_url: Annotated[str, about("Address of the sandbox host.")] = (
        "https://api.sandbox.push.apple.com"
    )


class Webpush(Struct, frozen=True, kw_only=True):
    """Push to browsers, through whatever service each of them uses."""

    private_key: Annotated[
        Secret,
        about("VAPID key, PEM or base64url, as `nova vapid` makes it; empty for no Web Push."),
    ] = ""
    subject: Annotated[
        str, about("mailto: or https: address at which push services reach the operator.")
    ] = ""


class Smtp(Struct, frozen=True, kw_only=True):
    """Mail, through a relay."""

    host: Annotated[str, about("The mail server; empty for no mail.")] = ""
    port: Annotated[Port, about("Its port: 587 with starttls, 465 with tls.")] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"], about("How the connection is protected.")
    ] = "starttls"
    username: Annotated[str, about("Name to log in with; empty for no log-in.")] = ""
    password: Annotated[Secret, about("Password to log in with.")] = ""
    sender: Annotated[str, about("Sender of all mail: `Name <address>`.")] = ""
    connections: Annotated[Natural, about("Connections to the mail server, at most.")] = 4
    timeout_s: Annotated[Seconds, about("Seconds that the mail server may take to answer.")] = 30.0
    dkim_key: Annotated[
        str, about("File of an RSA key to sign mail with; empty where the relay signs.")
    ] = ""
    dkim_selector: Annotated[str, about("Name of the key's public half in the DNS.")] = "nova"


class Outgoing(Struct, frozen=True, kw_only=True):
    """Connections that Nova opens to others."""

    ca_file: Annotated[
        str,
        about("File of certificates to trust besides the machine's own, such as a simulator's."),
    ] = ""
    allowed_networks: Annotated[
        tuple[str, ...],
        about(
            "Networks that are not public and that Nova may call nevertheless, such as 10.1.0.0/16."
        ),
    ] = ()
    deadline_s: Annotated[
        Seconds, about("Seconds that a push may take; FCM asks for 10 at least.")
    ] = 20.0
    waiting: Annotated[
        Natural, about("Pushes that may wait for one provider; further ones are postponed.")
    ] = 2000
