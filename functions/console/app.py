"""GET /console and what the page asks for below it: what operators see and do, by the same parts as settlectl."""

from pathlib import Path
from typing import Any, Final

from settlement.console_actions import Actions
from settlement.console_endpoint import Route, console_endpoint, does, shows
from settlement.console_messages import (
    ActivateRequest,
    AppRequest,
    AppsRequest,
    ChartRequest,
    CountRequest,
    Nothing,
    NotificationRequest,
    NotificationsRequest,
    RedeliverRequest,
    ReplayRequest,
    RetireRequest,
    RotateRequest,
    SearchRequest,
    SettlementsRequest,
)
from settlement.console_views import Views
from settlement.door import Door
from settlement.static_files import StaticFiles

door = Door("console")
views = Views.connect(door)
actions = Actions.connect(door, views)

ROUTES: Final[dict[str, Route[Any]]] = {
    "session": shows(Nothing, views.session, method="GET"),
    "health": shows(Nothing, views.health),
    "apps/list": shows(AppsRequest, views.list_apps),
    "apps/show": shows(AppRequest, views.show_app),
    "search": shows(SearchRequest, views.search),
    "settlements/list": shows(SettlementsRequest, views.list_settlements),
    "settlements/chart": shows(ChartRequest, views.chart),
    "notifications/list": shows(NotificationsRequest, views.list_notifications),
    "notifications/show": shows(NotificationRequest, views.show_notification),
    "notifications/count": shows(CountRequest, actions.count),
    "notifications/redeliver": does(RedeliverRequest, actions.redeliver),
    "notifications/replay": does(ReplayRequest, actions.replay),
    "apps/rotate-secret": does(RotateRequest, actions.rotate_secret),
    "apps/activate-secret": does(ActivateRequest, actions.activate_secret),
    "apps/retire-secret": does(RetireRequest, actions.retire_secret),
    "apps/enable": does(AppRequest, actions.enable),
    "apps/disable": does(AppRequest, actions.disable),
}

handler = console_endpoint(door, StaticFiles.of(Path(__file__).with_name("static")), ROUTES)
