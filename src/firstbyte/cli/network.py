"""The options of what stands between the net and the handler: TLS, proxies that are believed, hosts that are ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from firstbyte._lazy import lazy_logger
from firstbyte.cli.say import say
from firstbyte.errors import ConfigurationError
from firstbyte.http.handler import Handler
from firstbyte.http.request import Request

if TYPE_CHECKING:
    from firstbyte.engine.tls import TLS, Certificates

logger = lazy_logger("firstbyte.front")


class Network(NamedTuple):
    """What the options say; each field is the option of its name."""

    tls_cert: tuple[str, ...] = ()
    tls_key: tuple[str, ...] = ()
    tls_key_password: str | None = None
    tls_password_file: str | None = None
    tls_ca: str | None = None
    tls_client: Literal["optional", "required"] = "required"
    tls_dev: bool = False
    redirect_http: int | None = None
    trusted_proxies: str | None = None
    forwarded_fields: str | None = None
    proxy_protocol: bool = False
    allowed_hosts: str | None = None

    def certificates(self) -> Certificates | None:
        """What the server needs to speak TLS, or None if it is not to. Raises ConfigurationError."""
        tls = self._tls()
        if tls is None:
            return None
        from firstbyte.engine.tls import Certificates

        certificates = Certificates(tls)
        for warning in certificates.warnings:
            logger.warning("%s", warning)
        return certificates

    def _tls(self) -> TLS | None:
        if self.tls_dev:
            if self.tls_cert or self.tls_key:
                raise ConfigurationError("--tls-dev makes its own certificate: leave --tls-cert and --tls-key out")
            from firstbyte.cli.tls_dev import development_certificate, how_to_trust

            made = development_certificate()
            if made.created:
                say(how_to_trust(made.authority))
            return made.tls
        if not self.tls_cert:
            for name in ("tls_key", "tls_key_password", "tls_password_file", "tls_ca", "redirect_http"):
                if getattr(self, name) not in (None, ()):
                    raise ConfigurationError(f"--{name.replace('_', '-')} goes with --tls-cert or --tls-dev")
            return None
        if len(self.tls_key) > len(self.tls_cert):
            raise ConfigurationError("there are more --tls-key than --tls-cert: each key belongs to one certificate")
        keys: list[str | None] = [*self.tls_key, *[None] * (len(self.tls_cert) - len(self.tls_key))]
        from firstbyte.engine.tls import TLS

        first, *extra = zip(self.tls_cert, keys, strict=True)
        return TLS(
            first[0], first[1], self._key_password(), self.tls_ca, tuple(extra),
            client_certificates=self.tls_client if self.tls_ca is not None else "none",
        )  # fmt: skip

    def _key_password(self) -> str | None:
        if self.tls_password_file is None:
            return self.tls_key_password
        if self.tls_key_password is not None:
            raise ConfigurationError("--tls-key-password and --tls-password-file say the same: take one")
        try:
            return Path(self.tls_password_file).read_text().strip()
        except (OSError, UnicodeError) as error:
            raise ConfigurationError(f"--tls-password-file {self.tls_password_file} cannot be read: {error}") from None

    def around(self, handler: Handler, port: int, plain_port: int | None) -> Handler:
        """`handler` behind what the options ask for, on `port`; what comes to `plain_port` is redirected there.

        Raises ConfigurationError.
        """
        if self.trusted_proxies is not None or self.allowed_hosts is not None:
            from firstbyte.app.front import Front
            from firstbyte.http.forwarded import Networks, TrustedProxies
            from firstbyte.http.hosts import Hosts

            handler = Front(
                handler,
                None
                if self.trusted_proxies is None
                else TrustedProxies(Networks.parse(self.trusted_proxies), self._believed()),
                None if self.allowed_hosts is None else Hosts.parse(self.allowed_hosts),
                _tell,
            )
        elif self.forwarded_fields is not None:
            raise ConfigurationError("--forwarded-fields goes with --trusted-proxies")
        if plain_port is not None:
            from firstbyte.app.https import RedirectToHTTPS

            handler = RedirectToHTTPS(handler, plain_port, port)
        return handler

    def _believed(self) -> tuple[str, ...]:
        from firstbyte.http.forwarded import DEFAULT_FIELDS

        if self.forwarded_fields is None:
            return DEFAULT_FIELDS
        return tuple(name.strip() for name in self.forwarded_fields.split(",") if name.strip())


def _tell(request: Request, text: str) -> None:
    logger.warning("%s %s %s: %s", request.client, request.method, request.target, text)
