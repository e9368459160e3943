"""The options that `network.Network` holds."""

from __future__ import annotations

import click

from firstbyte.http.forwarded import DEFAULT_FIELDS, FIELDS

NETWORK_OPTIONS = (
    click.option(
        "--tls-cert",
        multiple=True,
        metavar="FILE",
        help="Speak TLS with this certificate chain; repeatable, chosen by SNI.",
    ),
    click.option("--tls-key", multiple=True, metavar="FILE", help="The certificate's key, if it is not in its file."),
    click.option("--tls-key-password", metavar="TEXT", help="Opens keys that are encrypted; better by its variable."),
    click.option("--tls-password-file", metavar="FILE", help="The file with that password in it."),
    click.option("--tls-ca", metavar="FILE", help="Ask clients for certificates of these authorities."),
    click.option(
        "--tls-client",
        type=click.Choice(["optional", "required"]),
        default="required",
        show_default=True,
        help="Whether --tls-ca lets in clients without a certificate.",
    ),
    click.option(
        "--tls-dev", is_flag=True, help="Speak TLS with a certificate made for this machine, for development."
    ),
    click.option(
        "--redirect-http",
        type=click.IntRange(0, 65535),
        metavar="PORT",
        help="Listen on PORT too, without TLS, and redirect to the port with it.",
    ),
    click.option(
        "--trusted-proxies",
        metavar="CIDR,...",
        help="Believe the forwarding fields of these proxies: networks, addresses, unix, or * for all.",
    ),
    click.option(
        "--forwarded-fields",
        metavar="NAME,...",
        show_default=",".join(DEFAULT_FIELDS),
        help=f"The fields that those proxies set or delete, of {', '.join(FIELDS)}.",
    ),
    click.option(
        "--proxy-protocol", is_flag=True, help="Want the PROXY protocol's header, version 1 or 2, on every connection."
    ),
    click.option(
        "--allowed-hosts",
        metavar="HOST,...",
        help="Answer for these hosts only, *.example.org for those below; others get a 421.",
    ),
)
