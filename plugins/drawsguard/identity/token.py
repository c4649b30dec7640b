"""Identity tokens: verify the signature against the issuer's keys, and return what the token says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt


def verified_claims(token: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims of an RS256 token that one of the issuer's keys signed.

    Expiry and audience are left to check 5, which reports what is wrong with them.

    :param token: the encoded JSON web token.
    :param keys: the issuer's JSON web key set (``{"keys": [...]}``).
    :raises jwt.PyJWTError: when the token is malformed, or no key of the set signed it.
    """
    key_id = jwt.get_unverified_header(token).get("kid")
    for key in jwt.PyJWKSet.from_dict(dict(keys)).keys:
        if key.key_id == key_id:
            return dict(
                jwt.decode(token, key.key, algorithms=["RS256"], options={"verify_aud": False, "verify_exp": False})
            )
    raise jwt.InvalidKeyError(f"The token is signed by key {key_id!r}, which the issuer does not publish.")
