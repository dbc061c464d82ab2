"""The official clients, each made from its environment alone (`everleaf env`)."""

import os

import requests
from ibm_code_engine_sdk.code_engine_v2 import CodeEngineV2
from ibm_eventnotifications.event_notifications_v1 import EventNotificationsV1
from ibm_platform_services import IamIdentityV1, IamPolicyManagementV1, ResourceControllerV2, ResourceManagerV2
from ibm_secrets_manager_sdk.secrets_manager_v2 import SecretsManagerV2

controller = ResourceControllerV2.new_instance()
groups = ResourceManagerV2.new_instance()
identity = IamIdentityV1.new_instance()
policies = IamPolicyManagementV1.new_instance()
code_engine = CodeEngineV2.new_instance()
event_notifications = EventNotificationsV1.new_instance()
secrets_manager = SecretsManagerV2.new_instance()

account = identity.get_api_keys_details(iam_api_key=os.environ["IBMCLOUD_API_KEY"]).get_result()["account_id"]


def default_group():
    return next(group["id"] for group in groups.list_resource_groups(account_id=account).get_result()["resources"] if group["default"])


def plan_of(service, plan):
    """Service and plan from the global catalog, which is public."""
    catalog = f"{os.environ['RESOURCE_CONTROLLER_URL']}/api/v1"
    entries = requests.get(catalog, params={"q": service}, timeout=10).json()["resources"]
    entry = next(one for one in entries if one["name"] == service)
    plans = requests.get(f"{catalog}/{entry['id']}/plan", timeout=10).json()["resources"]
    return entry["id"], next(one["id"] for one in plans if one["name"] == plan)


def secrets_manager_of(guid):
    """A client of another Secrets Manager instance: its address differs in the GUID only."""
    client = SecretsManagerV2.new_instance()
    client.set_service_url(os.environ["SECRETS_MANAGER_URL"].rsplit("/", 1)[0] + "/" + guid)
    return client
