"""The Code Engine SDK's own integration run, as far as Everleaf has it: projects, apps, builds, domain mappings, config maps, secrets."""

import io
import os
import tarfile

import requests
from ibm_cloud_sdk_core import ApiException
from ibm_code_engine_sdk import code_engine_v2 as ce

from cases import absent, case, equal, eventually, refused, run_cases, whole
from clients import code_engine as client
from clients import controller, default_group

UNKNOWN = "15314cc3-85b4-4338-903f-c28cdee6d005"
made = {}


def here():
    return {"project_id": made["project"]}


def paged(pager):
    found = []
    while pager.has_next():
        found.extend(pager.get_next())
    return found


@case("a project: 202, readable at once, active while polled, and an instance of the resource controller")
def create_project():
    response = client.create_project(name="my-project", tags=["some", "tags"])
    project = whole(ce.Project, response, 202)
    equal((project["name"], project["resource_type"], project["resource_group_id"]), ("my-project", "project_v2", default_group()))
    made["project"] = project["id"]
    whole(ce.Project, client.get_project(id=made["project"]), 200)
    eventually("the project is active", lambda: client.get_project(id=made["project"]).get_result()["status"] == "active")
    equal(controller.get_resource_instance(id=made["project"]).get_result()["name"], "my-project")


@case("projects are listed, with a meaningless start too, and paged")
def list_projects():
    page = whole(ce.ProjectList, client.list_projects(limit=100, start="testString"), 200)
    assert made["project"] in [one["id"] for one in page["projects"]], page
    equal(page["limit"], 100)
    one_by_one = paged(ce.ProjectsPager(client=client, limit=1))
    equal(sorted(one["id"] for one in one_by_one), sorted(one["id"] for one in page["projects"]))
    whole(ce.ProjectStatusDetails, client.get_project_status_details(project_id=made["project"]), 200)


@case("config maps: create, list, page, get, replace under If-Match, delete")
def config_maps():
    for name in ("my-config-map", "another-config-map"):
        created = client.create_config_map(**here(), name=name, data={"key": "value"})
        document = whole(ce.ConfigMap, created, 201)
        equal((document["data"], created.get_headers()["ETag"].strip('"')), ({"key": "value"}, document["entity_tag"]))
    read = whole(ce.ConfigMap, client.get_config_map(**here(), name="my-config-map"), 200)
    replaced = whole(ce.ConfigMap, client.replace_config_map(**here(), name="my-config-map", if_match=read["entity_tag"], data={"other": "1"}), 200)
    equal(replaced["data"], {"other": "1"})
    assert replaced["entity_tag"] != read["entity_tag"]
    refused(412, client.replace_config_map, **here(), name="my-config-map", if_match=read["entity_tag"], data={})
    equal(len(paged(ce.ConfigMapsPager(client=client, **here(), limit=1))), 2)
    whole(ce.ConfigMapList, client.list_config_maps(**here(), limit=100), 200)
    for name in ("my-config-map", "another-config-map"):
        equal(client.delete_config_map(**here(), name=name).get_status_code(), 202)
    refused(404, client.get_config_map, **here(), name="my-config-map")


# Texts that are no keys: IBM's own tests send such, and the store keeps them as they are.
FORMATS = {
    "generic": {"key": "value"},
    "basic_auth": {"username": "username", "password": "password"},
    "ssh_auth": {"ssh_key": "no key", "known_hosts": "nobody"},
    "registry": {"server": "server", "username": "username", "password": "password", "email": "email"},
    "hmac_auth": {"access_key_id": "id", "secret_access_key": "key"},
    "tls": {"tls_cert": "no certificate\n", "tls_key": "no key\n"},
}
TYPES = {"ssh_auth": "secret_auth_ssh_v2"}


def secret_name(form):
    return f"my-{form.replace('_', '-')}-secret"


@case("secrets of six formats: create, get, replace with '*' and nothing but format and data, list by format, delete")
def secrets():
    for form, data in FORMATS.items():
        name = secret_name(form)
        created = whole(ce.Secret, client.create_secret(**here(), format=form, name=name, data=data), 201)
        equal((created["data"], created["resource_type"]), (data, TYPES.get(form, f"secret_{form}_v2")))
        equal(whole(ce.Secret, client.get_secret(**here(), name=name), 200)["data"], data)
        changed = {key: value + "2\n" for key, value in data.items()}
        replaced = client.replace_secret(**here(), name=name, if_match="*", format=form, data=changed)
        equal(whole(ce.Secret, replaced, 200)["data"], changed)
        listed = whole(ce.SecretList, client.list_secrets(**here(), format=form, limit=100), 200)["secrets"]
        equal([one["name"] for one in listed if one.get("generated_by") != "system"], [name])
    names = {one["name"] for one in paged(ce.SecretsPager(client=client, **here(), limit=1))}
    equal({secret_name(form) for form in FORMATS} - names, set())
    equal(client.delete_secret(**here(), name="my-generic-secret").get_status_code(), 202)


@case("an app with literals that also carry key, prefix and reference; what it names need not exist; 4G of ephemeral storage beside 4G")
def create_app():
    variables = [
        {"type": "literal", "name": "SOME", "value": "VALUE", "key": "MY_VARIABLE", "prefix": "PREFIX_", "reference": "my-secret"},
        {"type": "config_map_full_reference", "reference": "later"},
    ]
    response = client.create_app(
        **here(),
        image_reference="icr.io/codeengine/helloworld",
        name="my-app",
        image_port=8080,
        managed_domain_mappings="local_public",
        run_arguments=["testString"],
        run_as_user=1001,
        run_commands=["testString"],
        run_env_variables=variables,
        run_service_account="default",
        scale_concurrency=100,
        scale_concurrency_target=80,
        scale_cpu_limit="1",
        scale_down_delay=300,
        scale_ephemeral_storage_limit="4G",
        scale_initial_instances=1,
        scale_max_instances=10,
        scale_memory_limit="4G",
        scale_min_instances=0,
        scale_request_timeout=300,
    )
    app = whole(ce.App, response, 201)
    equal((app["scale_memory_limit"], app["scale_ephemeral_storage_limit"], app["scale_cpu_limit"]), ("4G", "4G", "1"))
    equal([one.get("name") for one in app["run_env_variables"][:2]], ["SOME", None])
    equal(len(app["computed_env_variables"]), 6)
    assert all(one["name"] and one["value"] for one in app["computed_env_variables"]), app


@case("a client that names a version of today finds the platform's variables in computed_env_variables only")
def versioned():
    dated = ce.CodeEngineV2.new_instance(version="2026-09-04")
    app = whole(ce.App, dated.get_app(**here(), name="my-app"), 200)
    equal([one.get("name") for one in app["run_env_variables"]], ["SOME", None])
    equal(len(app["computed_env_variables"]), 6)


@case("PATCH with '*' right after, and the first revision at once; an identical patch makes one too")
def update_app():
    response = client.update_app(**here(), name="my-app", if_match="*", app={"scale_max_instances": 5})
    equal(whole(ce.App, response, 200)["scale_max_instances"], 5)
    revision = whole(ce.AppRevision, client.get_app_revision(**here(), app_name="my-app", name="my-app-00001"), 200)
    equal((revision["app_name"], revision["scale_max_instances"]), ("my-app", 10))
    whole(ce.App, client.update_app(**here(), name="my-app", if_match="*", app={"scale_max_instances": 5}), 200)
    listed = whole(ce.AppRevisionList, client.list_app_revisions(**here(), app_name="my-app", limit=100), 200)
    equal(sorted(one["name"] for one in listed["revisions"]), [f"my-app-0000{number}" for number in (1, 2, 3)])
    equal(len(paged(ce.AppRevisionsPager(client=client, **here(), app_name="my-app", limit=1))), 3)
    whole(ce.AppInstanceList, client.list_app_instances(**here(), app_name="my-app", limit=100), 200)
    equal(client.delete_app_revision(**here(), app_name="my-app", name="my-app-00002").get_status_code(), 202)


@case("apps are listed, paged and read; the tag of the GET lets a patch through, an old one does not")
def read_apps():
    whole(ce.AppList, client.list_apps(**here(), limit=100), 200)
    equal([one["name"] for one in paged(ce.AppsPager(client=client, **here(), limit=10))], ["my-app"])
    read = client.get_app(**here(), name="my-app")
    tag = read.get_headers()["ETag"]
    equal(whole(ce.App, read, 200)["entity_tag"], tag.strip('"'))
    whole(ce.App, client.update_app(**here(), name="my-app", if_match=tag, app={"scale_max_instances": 6}), 200)
    refused(412, client.update_app, **here(), name="my-app", if_match=tag, app={"scale_max_instances": 7})


@case("a domain mapping: create, move to another app, list, page, delete; then read, replace and delete its TLS secret")
def domain_mappings():
    whole(ce.App, client.create_app(**here(), image_reference="icr.io/codeengine/helloworld", name="my-app-2"), 201)
    component = {"name": "my-app", "resource_type": "app_v2"}
    mapping = whole(ce.DomainMapping, client.create_domain_mapping(**here(), component=component, name="www.example.com", tls_secret="my-tls-secret"), 201)
    equal((mapping["component"], mapping["visibility"], mapping["user_managed"]), (component, "custom", True))
    response = client.update_domain_mapping(**here(), name="www.example.com", if_match="*", domain_mapping={"component": {"name": "my-app-2"}})
    equal(whole(ce.DomainMapping, response, 200)["component"], {"name": "my-app-2", "resource_type": "app_v2"})
    listed = whole(ce.DomainMappingList, client.list_domain_mappings(**here(), limit=100), 200)["domain_mappings"]
    pager = ce.DomainMappingsPager(client=client, **here(), limit=1)
    equal([one["name"] for one in paged(pager)], [one["name"] for one in listed])
    whole(ce.DomainMapping, client.get_domain_mapping(**here(), name="www.example.com"), 200)
    equal(client.delete_domain_mapping(**here(), name="www.example.com").get_status_code(), 202)
    whole(ce.Secret, client.get_secret(**here(), name="my-tls-secret"), 200)
    whole(ce.Secret, client.replace_secret(**here(), name="my-tls-secret", if_match="*", format="tls", data=FORMATS["tls"]), 200)
    equal(client.delete_secret(**here(), name="my-tls-secret").get_status_code(), 202)


@case("a build from local source without source_url; its parameters come back")
def builds():
    response = client.create_build(
        **here(),
        name="my-build",
        output_image="private.de.icr.io/icr_namespace/image-name",
        output_secret="ce-auto-icr-private-eu-de",
        strategy_type="buildpacks",
        source_type="local",
        run_build_params=[{"type": "literal", "name": "SOME", "value": "VALUE"}],
        timeout=600,
    )
    build = whole(ce.Build, response, 201)
    equal([(one["name"], one["value"]) for one in build["run_build_params"]], [("SOME", "VALUE")])
    equal([name for name in build if name.startswith("source_")], ["source_type"])
    updated = client.update_build(**here(), name="my-build", if_match="*", build={"timeout": 900})
    equal(whole(ce.Build, updated, 200)["timeout"], 900)
    whole(ce.Build, client.get_build(**here(), name="my-build"), 200)
    whole(ce.BuildList, client.list_builds(**here(), limit=100), 200)
    equal(len(paged(ce.BuildsPager(client=client, **here(), limit=10))), 1)


def upload_source(build):
    """The official client has no operation for it: a plain request."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("server.js")
        text = b"require('http').createServer((q, a) => a.end('hello')).listen(process.env.PORT)"
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    headers = {"Authorization": f"Bearer {client.authenticator.token_manager.get_token()}", "Content-Type": "application/gzip"}
    url = f"{os.environ['CODE_ENGINE_URL']}/projects/{made['project']}/builds/{build}/source"
    answer = requests.put(url, data=packed.getvalue(), headers=headers, timeout=30)
    assert answer.ok, answer.text


@case("a build run without source is refused and says what to do; with it, it succeeds. The build is deleted first, its run after")
def build_runs():
    refused(409, client.create_build_run, **here(), build_name="my-build", name="my-build-run", says="source")
    upload_source("my-build")
    run = whole(ce.BuildRun, client.create_build_run(**here(), build_name="my-build", name="my-build-run"), 202)
    equal((run["build_name"], run["name"]), ("my-build", "my-build-run"))

    def ended():
        document = whole(ce.BuildRun, client.get_build_run(**here(), name="my-build-run"), 200)
        return document if document["status"] in ("failed", "succeeded") else None

    equal(eventually("the run ends", ended)["status"], "succeeded")
    whole(ce.BuildRunList, client.list_build_runs(**here(), build_name="my-build", limit=100), 200)
    equal(len(paged(ce.BuildRunsPager(client=client, **here(), build_name="my-build", limit=1))), 1)
    equal(whole(ce.BuildRunList, client.list_build_runs(**here(), build_name="another"), 200)["build_runs"], [])
    equal(client.delete_build(**here(), name="my-build").get_status_code(), 202)
    equal(client.delete_build_run(**here(), name="my-build-run").get_status_code(), 202)
    refused(404, client.get_build_run, **here(), name="my-build-run")


@case("a job as IBM's own tests make it: an array of ranges, a literal that also carries a key, secrets that do not exist yet, 4G of storage")
def create_job():
    response = client.create_job(
        **here(),
        image_reference="icr.io/codeengine/firstjob",
        name="my-job",
        image_secret="my-secret",
        run_arguments=["testString"],
        run_as_user=1001,
        run_commands=["testString"],
        run_env_variables=[{"type": "literal", "name": "SOME", "value": "VALUE", "key": "MY_VARIABLE", "prefix": "PREFIX_", "reference": "my-secret"}],
        run_mode="task",
        run_service_account="default",
        run_volume_mounts=[{"mount_path": "/app", "name": "codeengine-mount-b69u90", "reference": "my-secret", "type": "secret"}],
        scale_array_spec="1-5,7-8,10",
        scale_cpu_limit="1",
        scale_ephemeral_storage_limit="4G",
        scale_max_execution_time=7200,
        scale_memory_limit="4G",
        scale_retry_limit=3,
    )
    job = whole(ce.Job, response, 201)
    equal((job["scale_array_spec"], job["scale_ephemeral_storage_limit"], job["run_mode"]), ("1-5,7-8,10", "4G", "task"))
    equal(response.get_headers()["ETag"].strip('"'), job["entity_tag"])
    equal(len(job["computed_env_variables"]), 3)
    assert all(one["name"] and one["value"] for one in job["computed_env_variables"]), job
    equal(job["run_volume_mounts"], [{"type": "secret", "mount_path": "/app", "reference": "my-secret"}])


@case("jobs are listed, paged, read and patched with '*' and with the tag of the GET; an old tag is refused")
def update_job():
    read = client.get_job(**here(), name="my-job")
    tag = read.get_headers()["ETag"]
    equal(whole(ce.Job, read, 200)["entity_tag"], tag.strip('"'))
    updated = client.update_job(**here(), name="my-job", if_match="*", job={"scale_retry_limit": 1})
    equal(whole(ce.Job, updated, 200)["scale_retry_limit"], 1)
    refused(412, client.update_job, **here(), name="my-job", if_match=tag, job={"scale_retry_limit": 2})
    patch = ce.JobPatch(scale_array_spec="0-4").to_dict()
    equal(whole(ce.Job, client.update_job(**here(), name="my-job", if_match=updated.get_headers()["ETag"], job=patch), 200)["scale_array_spec"], "0-4")
    whole(ce.JobList, client.list_jobs(**here(), limit=100), 200)
    equal([one["name"] for one in paged(ce.JobsPager(client=client, **here(), limit=1))], ["my-job"])


@case("a job run of a job with the job's own image; its indices stand by themselves; runs are listed by job, paged, and deleted")
def job_runs():
    created = client.create_job_run(
        **here(),
        image_reference="icr.io/codeengine/firstjob",
        job_name="my-job",
        name="my-job-run",
        run_arguments=["testString"],
        scale_array_spec="1-5,7-8,10",
        scale_array_size_variable_override=11,
    )
    run = whole(ce.JobRun, created, 202)
    equal((run["name"], run["job_name"], run["scale_array_size_variable_override"], run["scale_retry_limit"]), ("my-job-run", "my-job", 11, 1))
    equal(run["status_details"]["requested"], 8)
    equal(sorted(run["status_details"]["indices_details"], key=int), ["1", "2", "3", "4", "5", "7", "8", "10"])
    assert whole(ce.JobRun, client.get_job_run(**here(), name="my-job-run"), 200)["status"] in ("pending", "running", "completed", "failed")
    whole(ce.JobRunList, client.list_job_runs(**here(), job_name="my-job", limit=100), 200)
    equal(whole(ce.JobRunList, client.list_job_runs(**here(), job_name="another"), 200)["job_runs"], [])
    equal([one["name"] for one in paged(ce.JobRunsPager(client=client, **here(), job_name="my-job", limit=1))], ["my-job-run"])
    refused(400, client.create_job_run, **here(), job_name="my-job", image_secret="my-secret", says="image_secret")
    refused(400, client.create_job_run, **here(), job_name="my-job", scale_array_spec="5-1", says="5-1")
    refused(404, client.create_job_run, **here(), job_name="nobody")
    equal(client.delete_job_run(**here(), name="my-job-run").get_status_code(), 202)
    refused(404, client.get_job_run, **here(), name="my-job-run")


@case("a job run of its own runs to completion; one that fails says which indices and why")
def job_runs_end():
    def over(name):
        document = whole(ce.JobRun, client.get_job_run(**here(), name=name), 200)
        return document if document["status"] in ("completed", "failed") else None

    def submit(name, code):
        own = {"run_commands": ["node", "-e", code], "scale_array_spec": "0-2", "scale_retry_limit": 0}
        whole(ce.JobRun, client.create_job_run(**here(), image_reference="private.de.icr.io/icr_namespace/image-name", name=name, **own), 202)
        return eventually(f"{name} is over", lambda: over(name))

    good = submit("good", "process.exit(0)")
    equal((good["status"], good["status_details"]["succeeded_indices"]), ("completed", "0-2"))
    assert good["status_details"]["completion_time"] >= good["status_details"]["start_time"], good
    bad = submit("bad", "process.exit(Number(process.env.JOB_INDEX) === 1 ? 3 : 0)")
    details = bad["status_details"]
    equal((bad["status"], details["succeeded_indices"], details["failed_indices"]), ("failed", "0,2", "1"))
    equal(details["indices_details"]["1"]["last_failure_reason"], "ContainerExitedCode3")


@case("a job goes with its runs")
def delete_job():
    whole(ce.JobRun, client.create_job_run(**here(), job_name="my-job", name="last"), 202)
    equal(client.delete_job(**here(), name="my-job").get_status_code(), 202)
    refused(404, client.get_job, **here(), name="my-job")
    refused(404, client.get_job_run, **here(), name="last")


@case("what cannot be is refused with a reason the SDK can show")
def refusals():
    refused(404, client.get_app, **here(), name="nobody")
    refused(404, client.delete_app, **here(), name="nobody")
    refused(409, client.create_app, **here(), image_reference="icr.io/codeengine/helloworld", name="my-app", says="my-app")
    refused(400, client.create_app, **here(), image_reference="icr.io/codeengine/helloworld", name="Capitals")
    refused(400, client.create_app, **here(), image_reference="icr.io/codeengine/helloworld", name="odd", scale_cpu_limit="7")
    try:
        client.get_project(id=UNKNOWN)
        raise AssertionError("a project that is not there was answered")
    except ApiException as error:
        assert error.status_code in (403, 404) and error.message, error


@case("what is not here answers 501 and names the operation")
def what_is_absent():
    absent("list_function_runtimes", client.list_function_runtimes)
    absent("create_function", client.create_function, **here(), code_reference="data:text/plain;base64,YQ==", name="f", runtime="nodejs-20")
    component = {"name": "my-app", "resource_type": "app_v2"}
    absent("create_binding", client.create_binding, **here(), component=component, prefix="MY", secret_name="my-secret")
    absent("list_bindings", client.list_bindings, **here())
    absent("list_persistent_data_stores", client.list_persistent_data_stores, **here())
    absent("list_allowed_outbound_destinations", client.list_allowed_outbound_destinations, **here())
    absent("get_project_egress_ips", client.get_project_egress_ips, **here())
    access = {"service_instance": {"id": UNKNOWN}}
    refused(501, client.create_secret, **here(), format="service_access", name="absent", service_access=access, says="service_access")
    operator = {"serviceid": {"id": "ServiceId-1"}, "resource_group_ids": [UNKNOWN]}
    refused(501, client.create_secret, **here(), format="service_operator", name="absent", service_operator=operator, says="service_operator")
    git = {"source_type": "git", "source_url": "https://github.com/IBM/CodeEngine"}
    output = {"output_image": "private.de.icr.io/a/b", "output_secret": "ce-auto-icr-private-eu-de", "strategy_type": "dockerfile"}
    refused(501, client.create_build_run, **here(), name="from-git", **git, **output, says="create_build_run")


@case("apps are deleted, and the project with one left in it")
def delete_project():
    equal(client.delete_app(**here(), name="my-app-2").get_status_code(), 202)
    equal(client.delete_project(id=made["project"]).get_status_code(), 202)
    try:
        status = client.get_project(id=made["project"]).get_result()["status"]
        assert status in ("deleting", "soft_deleted", "hard_deleting"), status
    except ApiException as error:
        assert error.status_code in (403, 404) and error.message, error


run_cases()
