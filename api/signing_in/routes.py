"""Every address that has to do with signing in."""

from starlette.routing import Route

from api.signing_in import choosing, landing, passwords, second_factor
from api.signing_in.endpoints import route
from api.signing_in.machines import machine_routes
from api.signing_in.pages import stylesheet
from api.signing_in.site import Site
from api.signing_in.sso import sso_routes


def sign_in_routes(site: Site) -> list[Route]:
    return [
        route(site, "/", choosing.choose),
        route(site, "/go", choosing.go),
        route(site, "/t/{slug}", choosing.show_sign_in),
        route(site, "/t/{slug}/password", passwords.begin_again, posts=passwords.sign_in),
        route(site, "/t/{slug}/code", passwords.begin_again, posts=passwords.type_code),
        route(site, "/t/{slug}/forgotten", passwords.ask_reset, posts=passwords.send_reset),
        route(site, "/account-links/{token}", passwords.show_link, posts=passwords.use_link),
        route(site, "/second-factor", second_factor.show, posts=second_factor.change),
        route(site, "/landing", landing.land, posts=landing.choose),
        route(site, "/sign-out", landing.ask_sign_out, posts=landing.sign_out),
        Route("/assets/homerow.css", stylesheet),
        *sso_routes(site),
        *machine_routes(site),
    ]
