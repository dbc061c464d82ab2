"""The Event Notifications SDK's own integration run, as far as Everleaf has it; what it has not answers 501 by name."""

import json
import os

from ibm_eventnotifications import event_notifications_v1 as en

from cases import absent, case, equal, refused, run_cases, whole
from clients import event_notifications as client

INSTANCE = os.environ["EVENT_NOTIFICATIONS_GUID"]
UNKNOWN = "7df6e8b3-6b6f-4a3e-8a4e-2f6d9a4c5b60"
URL = "https://an-app.example.codeengine.appdomain.cloud/"
# Of nobody here: no authorization can be for it.
PROJECT_CRN = f"crn:v1:bluemix:public:codeengine:eu-de:a/{'a' * 32}:{UNKNOWN}::"
made = {}


def paged(pager):
    found = []
    while pager.has_next():
        found.extend(pager.get_next())
    return found


@case("a new instance has its built-in sources, and the pager finds them one by one")
def built_in_sources():
    page = whole(en.SourceList, client.list_sources(instance_id=INSTANCE, limit=1, offset=0, search=""), 200)
    equal((page["limit"], page["offset"], len(page["sources"])), (1, 0, 1))
    types = [source["type"] for source in paged(en.SourcesPager(client=client, instance_id=INSTANCE, limit=1, search=""))]
    equal(len(types), page["total_count"])
    assert "periodic-timer" in types, types


@case("built-in destinations are found with limit 1 and growing offset")
def built_in_destinations():
    types, offset = [], 0
    while True:
        page = whole(en.DestinationList, client.list_destinations(instance_id=INSTANCE, limit=1, offset=offset, search=""), 200)
        types.extend(destination["type"] for destination in page["destinations"])
        offset += 1
        if offset >= page["total_count"]:
            break
    equal({"smtp_ibm", "sms_ibm"} - set(types), set())
    assert "next" not in page, page


@case("create, get, list and update an API source")
def sources():
    response = client.create_sources(instance_id=INSTANCE, name="Event Notification Create Source Acme", description="This source is used for Acme Bank", enabled=False)
    created = whole(en.SourceResponse, response, 201)
    made["source"] = created["id"]
    equal((created["enabled"], "updated_at" in created), (False, False))
    source = whole(en.Source, client.get_source(instance_id=INSTANCE, id=made["source"]), 200)
    equal((source["type"], source["topic_count"], source["topic_names"], "created_at" in source), ("api", 0, [], False))
    found = whole(en.SourceList, client.list_sources(instance_id=INSTANCE, search="acme"), 200)["sources"]
    equal([one["id"] for one in found], [made["source"]])
    updated = client.update_source(instance_id=INSTANCE, id=made["source"], name="Acme renamed", description="Updated", enabled=True)
    equal(whole(en.Source, updated, 200)["name"], "Acme renamed")


@case("create a Code Engine destination and a webhook, sent as the SDK sends them: multipart")
def create_destinations():
    params = {"url": URL, "verb": "get", "type": "application", "custom_headers": {"authorization": "a header nobody may read"}, "sensitive_headers": ["authorization"]}
    response = client.create_destination(instance_id=INSTANCE, name="codeengine-app", type="ibmce", description="A Code Engine app", config={"params": params})
    created = whole(en.DestinationResponse, response, 201)
    equal((created["config"]["params"]["url"], created["collect_failed_events"], "updated_at" in created), (URL, False, False))
    assert "nobody may read" not in json.dumps(created), created
    made["destination"] = created["id"]


@case("a destination that is a Code Engine job: without its authorization refused, and said which; its config as the SDK models it")
def create_job_destination():
    config = en.DestinationConfigOneOfCodeEngineDestinationConfig(type="job", project_crn=PROJECT_CRN, job_name="builder")
    whole_config = en.DestinationConfig(params=config).to_dict()
    refused(403, client.create_destination, instance_id=INSTANCE, name="job", type="ibmce", config=whole_config, says="Viewer and Writer")
    # Without a project nothing is asked for yet.
    bare = {"params": {"type": "job", "job_name": "builder"}}
    created = whole(en.DestinationResponse, client.create_destination(instance_id=INSTANCE, name="job", type="ibmce", config=bare), 201)
    equal(created["config"], bare)
    equal(client.delete_destination(instance_id=INSTANCE, id=created["id"]).get_status_code(), 204)


@case("get, list, page and update the destination")
def read_destinations():
    read = whole(en.Destination, client.get_destination(instance_id=INSTANCE, id=made["destination"]), 200)
    equal((read["subscription_count"], read["subscription_names"], read["config"]["params"]["verb"]), (0, [], "get"))
    assert "nobody may read" not in json.dumps(read), read
    found = paged(en.DestinationsPager(client=client, instance_id=INSTANCE, limit=2, search="codeengine"))
    equal([one["id"] for one in found], [made["destination"]])
    params = {"url": URL, "verb": "post", "type": "application", "custom_headers": {"authorization": "another"}, "sensitive_headers": ["authorization"]}
    response = client.update_destination(instance_id=INSTANCE, id=made["destination"], name="codeengine-app-update", description="Updated", config={"params": params})
    updated = whole(en.Destination, response, 200)
    equal((updated["name"], updated["config"]["params"]["verb"]), ("codeengine-app-update", "post"))


@case("a topic with a rule is made, read, listed, paged and replaced")
def topics():
    rules = [{"enabled": True, "event_type_filter": "$.notification_event_info.event_type == 'cert_manager'", "notification_filter": "$.notification.findings[0].severity == 'MODERATE'"}]
    response = client.create_topic(instance_id=INSTANCE, name="GCM topic", description="topic for gcm", sources=[{"id": made["source"], "rules": rules}])
    created = whole(en.TopicResponse, response, 201)
    made["topic"] = created["id"]
    topic = whole(en.Topic, client.get_topic(instance_id=INSTANCE, id=made["topic"], include=""), 200)
    equal(topic["sources"][0]["rules"][0]["event_type_filter"], rules[0]["event_type_filter"])
    equal((topic["source_count"], topic["subscription_count"], topic["subscriptions"]), (1, 0, []))
    listed = whole(en.TopicList, client.list_topics(instance_id=INSTANCE, search=""), 200)["topics"]
    equal([one["id"] for one in listed], [made["topic"]])
    whole(en.TopicResponse, client.create_topic(instance_id=INSTANCE, name="A second topic"), 201)
    equal(len(paged(en.TopicsPager(client=client, instance_id=INSTANCE, limit=1, search=""))), 2)
    rules[0]["notification_filter"] = "$.notification.findings[0].severity == 'HIGH'"
    replaced = client.replace_topic(instance_id=INSTANCE, id=made["topic"], name="Updated topic", description="Updated", sources=[{"id": made["source"], "rules": rules}])
    topic = whole(en.Topic, replaced, 200)
    equal((topic["name"], len(topic["sources"][0]["rules"])), ("Updated topic", 1))
    equal(topic["sources"][0]["rules"][0]["notification_filter"], rules[0]["notification_filter"])


@case("a subscription is made, read, listed, paged and updated")
def subscriptions():
    names = {"name": "subscription_codeengine", "description": "Subscription for the app"}
    response = client.create_subscription(instance_id=INSTANCE, destination_id=made["destination"], topic_id=made["topic"], **names)
    made["subscription"] = whole(en.Subscription, response, 201)["id"]
    read = whole(en.Subscription, client.get_subscription(instance_id=INSTANCE, id=made["subscription"]), 200)
    equal((read["destination_type"], read["topic_name"], read["destination_name"]), ("ibmce", "Updated topic", "codeengine-app-update"))
    listed = whole(en.SubscriptionList, client.list_subscriptions(instance_id=INSTANCE, limit=1, offset=0, search=""), 200)
    equal(listed["total_count"], 1)
    equal(len(paged(en.SubscriptionsPager(client=client, instance_id=INSTANCE, limit=1, search=""))), 1)
    response = client.update_subscription(instance_id=INSTANCE, id=made["subscription"], name="Updated", description="Update subscription")
    equal(whole(en.Subscription, response, 200)["name"], "Updated")


def notification():
    return {
        "id": "1233fffbe2",
        "source": "apisource/git",
        "type": "cert_manager",
        "specversion": "1.0",
        "time": "2026-04-23T10:00:00.000Z",
        "subject": "Certificates",
        "datacontenttype": "application/json",
        "ibmenseverity": "MEDIUM",
        "ibmensourceid": made["source"],
        "ibmendefaultshort": "short text",
        "ibmendefaultlong": "long text",
        "data": {"alert": "Alert message"},
        "acmeattribute": "one that Everleaf does not know",
    }


@case("send right after topic and subscription: 202 with a notification_id")
def send():
    response = client.send_notifications(instance_id=INSTANCE, body=notification())
    sent = whole(en.NotificationResponse, response, 202)
    assert sent["notification_id"], sent


@case("what cannot be is refused with a reason the SDK can show")
def refusals():
    refused(404, client.get_source, instance_id=INSTANCE, id=UNKNOWN)
    refused(404, client.get_topic, instance_id=INSTANCE, id=UNKNOWN)
    refused(404, client.get_destination, instance_id=INSTANCE, id=UNKNOWN)
    refused(404, client.get_subscription, instance_id=INSTANCE, id=UNKNOWN)
    refused(409, client.create_topic, instance_id=INSTANCE, name="A second topic", says="A second topic")
    bad = [{"id": made["source"], "rules": [{"enabled": True, "event_type_filter": "$.type == 'x", "notification_filter": ""}]}]
    refused(400, client.create_topic, instance_id=INSTANCE, name="bad filter", sources=bad)
    plain = {"params": {"url": "http://example.com", "verb": "post", "type": "application"}}
    refused(400, client.create_destination, instance_id=INSTANCE, name="plain", type="ibmce", config=plain, says="https")
    refused(409, client.delete_source, instance_id=INSTANCE, id=made["source"])
    refused(409, client.delete_destination, instance_id=INSTANCE, id=made["destination"])
    # An instance that is not there is answered as one of somebody else: nobody learns which there are.
    refused(403, client.list_topics, instance_id=UNKNOWN)


@case("what is not here answers 501 and names the operation")
def what_is_absent():
    at = {"instance_id": INSTANCE}
    absent("create_template", client.create_template, **at, name="t", type="smtp_custom.invitation", params={"body": "aGk=", "subject": "hi"})
    absent("list_templates", client.list_templates, **at)
    absent("list_integrations", client.list_integrations, **at)
    absent("get_metrics", client.get_metrics, **at, destination_type="smtp_custom", gte="2026-01-01T00:00:00Z", lte="2026-01-02T00:00:00Z")
    absent("list_smtp_configurations", client.list_smtp_configurations, **at)
    absent("get_enabled_countries", client.get_enabled_countries, **at, id=made["destination"])
    absent("list_pre_defined_templates", client.list_pre_defined_templates, **at, source="logs", type="slack.notification")
    absent("create_tags_subscription", client.create_tags_subscription, **at, id=made["destination"], device_id="d", tag_name="t")
    absent("update_verify_destination", client.update_verify_destination, **at, id=made["destination"], type="spf")
    refused(501, client.create_destination, **at, name="a slack", type="slack", config={"params": {"url": URL, "type": "incoming_webhook"}}, says="slack")
    refused(501, client.create_destination, **at, name="a webhook", type="webhook", config={"params": {"url": URL, "verb": "post"}}, says="webhook")


@case("delete: subscription, topics, source, destination; each 204 and gone")
def delete():
    topics = paged(en.TopicsPager(client=client, instance_id=INSTANCE, limit=10, search=""))
    equal(client.delete_subscription(instance_id=INSTANCE, id=made["subscription"]).get_status_code(), 204)
    for topic in topics:
        equal(client.delete_topic(instance_id=INSTANCE, id=topic["id"]).get_status_code(), 204)
    equal(client.delete_source(instance_id=INSTANCE, id=made["source"]).get_status_code(), 204)
    equal(client.delete_destination(instance_id=INSTANCE, id=made["destination"]).get_status_code(), 204)
    refused(404, client.get_destination, instance_id=INSTANCE, id=made["destination"])


run_cases()
