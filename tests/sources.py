"""How tests open sources: nothing but a test's own servers is near, and nobody waits long."""

from functools import partial

from domain.providers import open_source as open_source_at
from domain.providers.hosts import Hosts
from domain.providers.http.patience import Patience

NOWHERE = "http://127.0.0.1:9"
HOSTS = Hosts(
    clever_api_url=NOWHERE,
    clever_oauth_url=NOWHERE,
    classlink_proxy_url=NOWHERE,
    allow_private=True,
    patience=Patience(attempts=3, first_wait=0.001, longest_wait=0.01),
)

open_source = partial(open_source_at, hosts=HOSTS)
