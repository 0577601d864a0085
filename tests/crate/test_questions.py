"""The competency questions of the Workflow Run RO-Crate working group, asked of a crate.

https://www.researchobject.org/workflow-run-crate/requirements lists them (CQ1 to CQ11). They are
asked in SPARQL, so that a term that the contexts do not know would answer nothing.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from rdflib import Graph

CONTEXTS = Path(__file__).parent / "contexts"
RESULTS = "results/tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
BASE = "https://example.org/crate/"
PREFIXES = """
PREFIX s: <http://schema.org/>
PREFIX bs: <https://bioschemas.org/>
PREFIX workflow: <https://bioschemas.org/ComputationalWorkflow#>
PREFIX dct: <http://purl.org/dc/terms/>
PREFIX wfrun: <https://w3id.org/ro/terms/workflow-run#>
PREFIX codemeta: <https://codemeta.github.io/terms/>
"""
TRAIN = "<#job/training/main-1k/00000000-00000004>"


@pytest.fixture(scope="module")
def graph(crate) -> Graph:
    """The crate as RDF, its contexts from files."""
    metadata = crate.metadata
    *referred, terms = metadata["@context"]
    assert len(referred) == 2
    names = ("ro-crate-1.1.json", "workflow-run.json")
    given = [json.loads((CONTEXTS / name).read_text())["@context"] for name in names]
    document = json.dumps({**metadata, "@context": [*given, terms]})
    return Graph().parse(data=document, format="json-ld", publicID=BASE)


@pytest.fixture
def ask(graph):
    """Rows of a question, as tuples of text, without the crate's own address."""

    def rows(question: str) -> set[tuple[str, ...]]:
        found = graph.query(f"BASE <{BASE}>\n{PREFIXES}{question}")
        return {tuple(str(item).removeprefix(BASE) for item in row) for row in found}

    return rows


def test_cq1_what_container_images_were_used_by_the_run(ask):
    """No record says that a job ran in a container, and so no image is claimed; the recipe of
    the one image that the workflow has is among its build instructions (CQ4)."""
    assert ask("SELECT ?image WHERE { ?action wfrun:containerImage ?image }") == set()
    assert ask("SELECT ?image WHERE { ?image a wfrun:ContainerImage }") == set()
    recipes = ask("SELECT ?file WHERE { <Snakefile> codemeta:buildInstructions ?file }")
    assert ("envs/container.def",) in recipes


def test_cq2_how_much_memory_cpu_disk_was_used_in_run(ask):
    used = ask(f"""SELECT ?name ?value ?unit WHERE {{
        {TRAIN} wfrun:resourceUsage ?used . ?used s:propertyID ?quantity ; s:value ?value .
        ?quantity s:name ?name . OPTIONAL {{ ?used s:unitCode ?unit }} }}""")
    assert used == {
        ("peak_memory.process", "1010", "https://qudt.org/vocab/unit/BYTE"),
        ("time", "1.5", "https://qudt.org/vocab/unit/SEC"),
        ("threads.declared", "1", "None"),
        ("device.machine", "x86_64", "None"),
        ("device.cpu", "A CPU", "None"),
        ("device.cuda.devices", '["A GPU"]', "None"),
        ("device.cuda.used", "true", "None"),
    }
    disk = ask(f"SELECT ?size WHERE {{ {TRAIN} s:result ?file . ?file s:contentSize ?size }}")
    assert len(disk) == 2


def test_cq3_what_are_the_configuration_files_used_in_a_workflow_execution_step(ask):
    """The step's parameters come from the configuration file that the run was given."""
    assert ask("""SELECT DISTINCT ?file WHERE {
        <#step/train> wfrun:connection ?connection . ?connection wfrun:sourceParameter ?source .
        <#run> s:object ?file . ?file a s:MediaObject ; s:exampleOfWork ?source .
        <Snakefile> workflow:input ?source }""") >= {("config/config.yaml",)}


def test_cq4_what_is_the_environment_container_file_used_in_a_specific_step(ask, crate):
    """The pins that its jobs ran with, told by their SHA-256, and the recipes made from them."""
    assert ask("""SELECT ?step ?file ?format WHERE {
        ?step a s:HowToStep ; s:name "train" ; codemeta:buildInstructions ?file .
        ?file a s:MediaObject ; s:encodingFormat ?format }""") == {
        ("#step/train", "requirements.lock", "text/plain")
    }
    whole = ask("""SELECT ?file ?format WHERE {
        <Snakefile> a s:HowTo, bs:ComputationalWorkflow ; codemeta:buildInstructions ?file .
        ?file s:encodingFormat ?format ; dct:conformsTo ?profile . ?profile s:name ?name }""")
    assert {file for file, _ in whole} == {
        "requirements.lock",
        "envs/environment.yaml",
        "envs/container.def",
    }


def test_cq4_other_pins_are_not_passed_off_as_those_of_the_step(written, project):
    (project / "requirements.lock").write_text("numpy==2.0.0\n")
    made = written(project)
    used = made.entities[made.entities["#step/train"]["buildInstructions"]["@id"]]
    assert used["@id"].startswith("#requirements.lock@")
    assert used["sha256"] != made.entities["requirements.lock"]["sha256"]


def seconds(rows: set[tuple[str, ...]]) -> float:
    ((start, end),) = rows
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)) / timedelta(seconds=1)


def test_cq5_how_long_does_this_workflow_component_take_to_run(ask):
    rows = ask("""SELECT ?start ?end WHERE { ?action a s:CreateAction ; s:instrument ?tool ;
        s:startTime ?start ; s:endTime ?end . <#step/train> s:workExample ?tool }""")
    assert seconds(rows) == 1.5


def test_cq6_how_long_does_this_workflow_take_to_run(ask):
    rows = ask("""SELECT ?start ?end WHERE { ?action a s:CreateAction ; s:startTime ?start ;
        s:endTime ?end ; s:instrument ?tool . ?tool a bs:ComputationalWorkflow }""")
    assert seconds(rows) == 51.5


def test_cq7_was_the_execution_successful(ask):
    rows = ask("SELECT ?action ?status WHERE { ?action a s:CreateAction ; s:actionStatus ?status }")
    assert len(rows) == 7
    assert {status for _, status in rows} == {"http://schema.org/CompletedActionStatus"}


def test_cq8_what_are_the_inputs_and_outputs_of_the_overall_workflow(ask):
    """Its configuration, raw text and what no job made go in; figures and tables come out."""
    whole = "?action s:instrument <Snakefile> ."
    inputs = ask(f"SELECT ?file WHERE {{ {whole} ?action s:object ?file }}")
    outputs = ask(f"SELECT ?file WHERE {{ {whole} ?action s:result ?file }}")
    given = {file for (file,) in inputs} - {"config/config.yaml"}
    assert {id.split("@")[0] for id in given} == {
        "#config/config.yaml",
        "#raw/a%20package%201.0:%20text/one.arrow",
        "#raw/a%20package%201.0:%20text/two.arrow",
    }
    assert outputs == {
        *((f"{RESULTS}/figures/fig01.{suffix}",) for suffix in ("svg", "csv", "md")),
        (f"{RESULTS}/tables/table1.html",),
    }


def test_cq9_what_is_the_source_code_version_of_the_component_executed_in_a_step(ask):
    tool = ask("""SELECT ?version WHERE { <#step/train> s:workExample ?tool .
        ?tool a s:SoftwareApplication ; s:softwareVersion ?version }""")
    assert tool == {(COMMIT,)}
    packages = ask("""SELECT ?name ?version WHERE { <#step/train> s:workExample ?tool .
        ?tool s:softwareRequirements ?needed .
        ?needed a s:SoftwareApplication ; s:name ?name ; s:softwareVersion ?version }""")
    assert packages == {("torch", "2.13.0+cpu")}  # what was installed, not what was pinned
    engine = ask("""SELECT ?name ?version WHERE { ?run a s:OrganizeAction ; s:instrument ?engine .
        ?engine s:name ?name ; s:softwareVersion ?version }""")
    assert engine == {("snakemake", "9.27.1")}


def test_cq10_what_is_the_script_used_to_wrap_up_a_software_component(ask):
    """The rule's script, in the version of it that ran, with the modules that it used."""
    script = ask("""SELECT ?file ?name ?version WHERE { <#step/train> s:workExample ?tool .
        ?tool s:mainEntity ?file . ?file a s:SoftwareSourceCode ; s:name ?name ;
        s:version ?version }""")
    file = f"{RESULTS}/lineage/code/{'a' * 64}.py"
    assert script == {(file, "workflow/scripts/train.py", "a" * 64)}
    modules = ask("""SELECT ?name ?version WHERE { <#step/train> s:workExample ?tool .
        ?tool s:softwareRequirements ?code .
        ?code a s:SoftwareSourceCode ; s:name ?name ; s:version ?version }""")
    assert ("zsl.training", "b" * 64) in modules


def test_cq11_how_were_workflow_parameters_used_in_tool_runs(ask):
    """Which parameters of the rule the workflow's input was turned into, and their values."""
    passed = ask(f"""SELECT ?given ?taken ?value WHERE {{
        <Snakefile> workflow:input ?source . ?source s:name ?given .
        ?connection a wfrun:ParameterConnection ; wfrun:sourceParameter ?source ;
            wfrun:targetParameter ?target . ?target s:name ?taken .
        {TRAIN} s:instrument ?tool ; s:object ?used . ?tool workflow:input ?target .
        ?used s:exampleOfWork ?target ; s:value/s:name ?value }}""")
    assert passed == {
        ("configfile", "run", "run.steps"),
        ("configfile", "run", "run.model"),
        ("configfile", "run", "run.betas"),
        ("configfile", "run", "run.warmup"),
    }


def test_cq11_which_outputs_of_steps_were_inputs_of_others(ask):
    connected = ask("""SELECT ?from ?to WHERE { ?connection a wfrun:ParameterConnection ;
        wfrun:sourceParameter ?source ; wfrun:targetParameter ?target .
        ?maker workflow:output ?source ; s:name ?from . ?reader workflow:input ?target ;
        s:name ?to }""")
    assert connected == {
        ("rule tokens", "rule train"),
        ("rule train", "rule measure"),
        ("rule train", "rule fit"),
        ("rule measure", "rule figure"),
        ("rule fit", "rule figure"),
        ("rule fit", "rule table"),
    }


def test_steps_stand_in_an_order_in_which_they_can_run(ask):
    rows = ask("SELECT ?name ?position WHERE { ?step a s:HowToStep ; s:name ?name ; "
               "s:position ?position }")  # fmt: skip
    position = {name: int(place) for name, place in rows}
    assert position["tokens"] < position["train"] < position["measure"] < position["figure"]
    assert position["train"] < position["fit"] < position["table"]


def test_values_keep_their_types(ask):
    values = ask("SELECT ?name ?value WHERE { ?x a s:PropertyValue ; s:name ?name ; "
                 's:value ?value . FILTER(STRSTARTS(?name, "run.")) }')  # fmt: skip
    leaves = {(name, value) for name, value in values if not value.startswith("#")}
    assert leaves == {
        ("run.steps", "4"),
        ("run.model.d_model", "8"),
        ("run.model.bias", "false"),
        ("run.warmup", "0"),
        ("run.betas", "[0.9, 0.95]"),
    }  # run.every is null, and so says nothing


def test_what_raw_text_the_corpus_was_made_from(ask):
    """The files that its manifest names, though they are inside of a package."""
    read = ask("""SELECT ?name ?sha256 ?size WHERE { ?action s:instrument/s:name "rule tokens" ;
        s:object ?file . ?file a s:MediaObject ; s:name ?name ; s:contentSize ?size ;
        wfrun:sha256 ?sha256 }""")
    assert read == {
        ("a package 1.0: text/one.arrow", "d" * 64, "10"),
        ("a package 1.0: text/two.arrow", "e" * 64, "10"),
    }


def test_each_job_has_its_record(ask):
    records = ask("SELECT ?record ?action WHERE { ?record a s:MediaObject ; s:about ?action . "
                  "?action a s:CreateAction }")  # fmt: skip
    assert len(records) == 6
    assert (f"{RESULTS}/lineage/fits/main-1k.json", "#job/fits/main-1k") in records


def test_every_reference_inside_the_crate_is_described(crate):
    def referred(value: object) -> set[str]:
        if isinstance(value, dict):
            return {value["@id"]}
        return set().union(*map(referred, value)) if isinstance(value, list) else set()

    entities = crate.entities
    found = {
        id for entity in entities.values() for value in entity.values() for id in referred(value)
    }
    assert {id for id in found if not id.startswith("http")} <= set(entities)


def test_every_term_is_known_to_the_contexts(crate):
    known = {"@id", "@type", "buildInstructions"}
    for path in CONTEXTS.glob("*.json"):
        known |= set(json.loads(path.read_text())["@context"])
    entities = crate.entities.values()
    assert set().union(*entities) <= known
    types = [entity["@type"] for entity in entities]
    assert set().union(*([type] if isinstance(type, str) else type for type in types)) <= known
