"""What tests hand to httpx, since nothing that they talk to speaks TLS."""

import ssl

#: Trusts nobody. Without it each client, and each `httpx.get`, first reads all certificates of the
#: machine, which takes longer than most of what is asked.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
