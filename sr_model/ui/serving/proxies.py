"""Which proxies are believed when they say in X-Forwarded-For who a client is. uvicorn does the work."""

import os
from ipaddress import ip_network

from sr_model.errors import ConfigError

VARIABLE = "FORWARDED_ALLOW_IPS"  # uvicorn's
OWN_MACHINE = "127.0.0.1,::1"
# A Space's container can be reached through the proxies of its host only, and they have private addresses.
PRIVATE = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7"


def default_proxies() -> str:
    """Of this machine, on a Space also of its private network; or what the operator has set for uvicorn."""
    on_space = f"{OWN_MACHINE},{PRIVATE}"
    return os.environ.get(VARIABLE) or (on_space if "SPACE_ID" in os.environ else OWN_MACHINE)


def trust(proxies: str) -> None:
    """Believe these addresses and networks, parted by commas, from the next start of a server on.

    Of the addresses in the header the last one counts that is no such proxy's, since everybody can write those before
    it. Raises ConfigError for what is no address, and for "*", with which the first would count.
    """
    for part in filter(None, (part.strip() for part in proxies.split(","))):
        try:
            ip_network(part)
        except ValueError:
            raise ConfigError(
                f"{part!r} is no address of a proxy. Give addresses or networks such as 10.0.0.0/8, parted by commas; "
                "with * every client could pass for another."
            ) from None
    os.environ[VARIABLE] = proxies
