"""The official clients, each made from its environment alone (`everleaf env`)."""

import os

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


def secrets_manager_of(guid):
    """A client of another Secrets Manager instance: its address differs in the GUID only."""
    client = SecretsManagerV2.new_instance()
    client.set_service_url(os.environ["SECRETS_MANAGER_URL"].rsplit("/", 1)[0] + "/" + guid)
    return client
