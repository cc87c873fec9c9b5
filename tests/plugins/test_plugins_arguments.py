"""What a constructor is given, and what is said where config and constructor do not agree."""

from __future__ import annotations

from typing import Any

import pytest

from pilotcli.common.errors import PluginError, UsageError
from pilotcli.config import load_config

KINDS = """\
class Update(PeriodicModelUpdateEvent):
    def custom_model_update(self, pilot_model, db_controller, data_manager):
        pass


class Pretraining(PretrainingModelEvent):
    def iterative_data_collection(self, db_controller, train_data_manager):
        pass

    def custom_model_training(self, bind_pilot_model, db_controller, data_manager):
        pass


class Before(WorkloadBeforeEvent):
    def process(self, db_controller, data_manager):
        pass


"""


def _class(init: str, body: str = "pass", base: str = "Count") -> str:
    return f"{KINDS}class Own({base}):\n    def __init__({init}):\n        {body}\n"


def test_each_kind_of_event_gets_its_arguments(user: Any) -> None:
    user.classes(KINDS)
    built = user.build("""\
models: {m: 'mine.py:Model'}
events:
  - class: mine.py:Count
    args: {interval_count: 3}
  - class: mine.py:Before
    args: {enable: false}
  - {class: mine.py:Update, model: m, args: {interval_count: 2, execute_on_init: no}}
  - {class: mine.py:Update, args: {interval_count: 2}}
  - {class: mine.py:Pretraining, model: m, args: {data_saving_table: t, enable_training: no}}
""")
    model = built["m"]
    assert model.model_name == "m"
    assert all(event.config is user.config for name, event in built.items() if name != "m")
    assert built["Count"].interval_count == 3
    assert built["Before"].enable is False
    assert built["Update"].pilot_model is model
    assert built["Update"].execute_on_init is False
    assert built["Update-2"].pilot_model is None
    assert built["Pretraining"].bind_pilot_model is model
    assert built["Pretraining"].data_saving_table == "t"
    assert built["Pretraining"].enable_training is False


@pytest.mark.parametrize(
    ("init", "body", "args"),
    [
        ("self, config, interval_count=1", "super().__init__(config, interval_count)", ""),
        ("self, interval_count, config=None", "super().__init__(config, interval_count)", "5"),
        ("self, cfg, interval_count", "super().__init__(cfg, interval_count)", "5"),
        ("self, settings, **kwargs", "super().__init__(settings, **kwargs)", "5"),
        ("self, *args, **kwargs", "super().__init__(*args, **kwargs)", "5"),
        ("self, **kwargs", "super().__init__(**kwargs)", "5"),
        ("self, config, /, interval_count", "super().__init__(config, interval_count)", "5"),
        ("self, config, interval_count, /", "super().__init__(config, interval_count)", "5"),
        ("self, *, config, interval_count", "super().__init__(config, interval_count)", "5"),
        ("self, *, interval_count, config", "super().__init__(config, interval_count)", "5"),
        ("self, config, *rest, interval_count", "super().__init__(config, interval_count)", "5"),
    ],
)
def test_the_config_reaches_every_style_of_constructor(
    user: Any, init: str, body: str, args: str
) -> None:
    user.classes(_class(init, body))
    given = f", args: {{interval_count: {args}}}" if args else ""
    built = user.build(f"events: [{{class: 'mine.py:Own'{given}}}]")
    assert built["Own"].config is user.config
    assert built["Own"].interval_count == int(args or 1)


def test_a_class_without_a_constructor_inherits_it(user: Any) -> None:
    user.classes(KINDS + "class Own(Update):\n    pass\n")
    text = "models: {m: 'mine.py:Model'}\nevents: [{class: 'mine.py:Own', model: m, args: {%s}}]"
    assert user.build(text % "interval_count: 4")["Own"].interval_count == 4
    [problem] = user.refused(text % "")
    assert problem == (
        "pilot.yaml:2:10: the event 'Own': Own needs the argument 'interval_count'\n"
        "    Give it under args: {interval_count: ...}"
    )


@pytest.mark.parametrize(
    ("init", "attribute"),
    [
        ("self, config, model, per_query_count=10", "model"),
        ("self, interval_count, pilot_model, execute_on_init=True, config=None", "pilot_model"),
        ("self, config, bind_pilot_model, model='linear'", "bind_pilot_model"),
        ("self, config, *, pilot_model=None", "pilot_model"),
        ("self, pilot_model, config", "pilot_model"),
    ],
)
def test_the_model_reaches_the_parameter_that_is_meant(
    user: Any, init: str, attribute: str
) -> None:
    user.classes(_class(init, f"self.config, self.got = config, {attribute}"))
    args = "interval_count: 3" if "interval_count" in init else ""
    built = user.build(
        "models: {m: 'mine.py:Model'}\n"
        f"events: [{{class: 'mine.py:Own', model: m, args: {{{args}}}}}]"
    )
    assert built["Own"].got is built["m"]
    assert built["Own"].config is user.config


@pytest.mark.parametrize(
    ("base", "attribute"), [("Update", "pilot_model"), ("Pretraining", "bind_pilot_model")]
)
def test_the_model_reaches_a_constructor_that_takes_anything(
    user: Any, base: str, attribute: str
) -> None:
    user.classes(_class("self, config, **kwargs", "super().__init__(config, **kwargs)", base))
    args = "{interval_count: 3}" if base == "Update" else "{data_saving_table: t}"
    built = user.build(
        "models: {m: 'mine.py:Model'}\n"
        f"events: [{{class: 'mine.py:Own', model: m, args: {args}}}]"
    )
    assert getattr(built["Own"], attribute) is built["m"]


@pytest.mark.parametrize(
    ("init", "entry"),
    [
        ("self, model_name", ""),
        ("self", ""),
        ("self, model_name, alpha", ", args: {alpha: 2}"),
        ("self, model_name, alpha=2", ""),
        ("self, alpha=2", ""),
        ("self, alpha, model_name='x'", ", args: {alpha: 2}"),
        ("self, name", ""),
        ("self, name, /, alpha=2", ""),
        ("self, *, model_name", ""),
        ("self, **kwargs", ", args: {alpha: 2}"),
        ("self, model_name, **kwargs", ", args: {alpha: 2}"),
    ],
)
def test_models_of_every_style_are_built(user: Any, init: str, entry: str) -> None:
    body = "self.got = {name: value for name, value in locals().items() if name != 'self'}"
    user.classes(_class(init, body, "Model"))
    got = user.build(f"models: {{m: {{class: 'mine.py:Own'{entry}}}}}")["m"].got
    got = {**got, **got.get("kwargs", {})}
    if "name" in init or "kwargs" in init:
        assert got.get("model_name", got.get("name")) == "m"
    if "alpha" in init + entry:
        assert got["alpha"] == 2


def test_a_model_s_name_may_be_given(user: Any) -> None:
    user.classes("")
    built = user.build("models: {m: {class: 'mine.py:Model', args: {model_name: other}}}")
    assert built["m"].model_name == "other"


@pytest.mark.parametrize(
    ("init", "entry", "problem"),
    [
        (
            "self, config, depth=1",
            "args: {dpeth: 2}",
            "1:40: the event 'Own': Own takes no argument 'dpeth'\n    Did you mean 'depth'?",
        ),
        (
            "self, config, depth=1",
            "args: {zzz: 2}",
            "1:40: the event 'Own': Own takes no argument 'zzz'\n    It takes: depth.",
        ),
        (
            "self, config",
            "args: {zzz: 2}",
            "1:40: the event 'Own': Own takes no argument 'zzz'\n    It takes: none.",
        ),
        (
            "self, config, depth, *, width",
            "args: {width: 2}",
            "1:10: the event 'Own': Own needs the argument 'depth'\n    Give it under args: {dep",
        ),
        (
            "self, config, interval_count, /",
            "",
            "1:10: the event 'Own': Own needs the argument 'interval_count'\n    Give it under",
        ),
        (
            "self, config, pilot_model",
            "",
            "1:10: the event 'Own': Own needs a model\n    Name one of the `models:` section",
        ),
        (
            "self, config",
            "model: m",
            "1:40: the event 'Own': Own takes no model\n    Take `model:` out, or give its",
        ),
        (
            "self, config, pilot_model",
            "args: {pilot_model: m}",
            "1:40: the event 'Own': pilot_model must be a model, not its name\n    Write model: m",
        ),
        (
            "self, config, pilot_model",
            "model: m, args: {pilot_model: m}",
            "1:50: the event 'Own': pilot_model is given twice\n    Take it out: `model: m`",
        ),
    ],
)
def test_what_does_not_agree_is_told_at_its_place(
    user: Any, init: str, entry: str, problem: str
) -> None:
    user.classes(_class(init))
    [told] = user.refused(
        f"events: [{{class: 'mine.py:Own', {entry}}}]\nmodels: {{m: 'mine.py:Model'}}"
    )
    assert told.startswith(f"pilot.yaml:{problem}")


def test_a_parameter_named_model_may_be_an_argument(user: Any) -> None:
    user.classes(_class("self, config, model", "self.kind = model"))
    built = user.build("events: [{class: 'mine.py:Own', args: {model: {kind: linear}}}]")
    assert built["Own"].kind == {"kind": "linear"}


def test_an_argument_from_the_command_line_is_told_by_its_override(user: Any) -> None:
    user.classes("")
    problems = user.refused(
        "events: ['mine.py:Count']",
        "events.Count.args.interval=3",
        "events.0.args.interval_count=0",
    )
    assert [one.partition("\n")[0] for one in problems] == [
        "--set events.Count.args.interval=3: the event 'Count': Count takes no argument 'interval'",
        "--set events.0.args.interval_count=0: the event 'Count': "
        "interval_count must be a whole number from 1 on, not 0",
    ]


@pytest.mark.parametrize("value", ["0", "-1", "true", "1.5", "'3'", "null"])
def test_an_interval_below_one_is_refused_at_its_place(user: Any, value: str) -> None:
    user.classes("")
    text = f"events:\n  - class: mine.py:Count\n    args: {{interval_count: {value}}}"
    [problem] = user.refused(text)
    assert problem.startswith(
        "pilot.yaml:3:12: the event 'Count': interval_count must be a whole number from 1 on, not "
    )


def test_an_interval_that_a_constructor_makes_up_is_told_with_the_event(user: Any) -> None:
    user.classes(_class("self, config", "super().__init__(config, 0)"))
    with pytest.raises(PluginError) as caught:
        user.build("events:\n  - mine.py:Own\n")
    assert str(caught.value) == (
        "pilot.yaml:2:5: the event 'Own': "
        "Own: interval_count must be a whole number from 1 on, not 0"
    )
    assert isinstance(caught.value.__cause__, UsageError)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("raise ValueError('no  such\\n  thing')", "ValueError: no such thing"),
        ("raise ValueError", "ValueError"),
        ("{}['depth']", "KeyError: 'depth'"),
        ("raise SystemExit(2)", "SystemExit: 2"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("import json; json.loads('{')", "JSONDecodeError: Expecting property name"),
        ("super().__init__()", "TypeError: "),
    ],
)
def test_a_constructor_that_raises(user: Any, body: str, why: str) -> None:
    user.classes("class Own(Count):\n    def __init__(self, config):\n        " + body)
    with pytest.raises(PluginError) as caught:
        user.build("events:\n  - {class: mine.py:Own, name: slow}\n")
    message = str(caught.value)
    assert message.startswith(
        "pilot.yaml:2:5: the event 'slow' cannot be built, Own() raised " + why
    )
    assert message.endswith(f"({user.path}/mine.py:22)")
    assert "\n" not in message
    assert caught.value.exit_code == 2
    assert caught.value.hint == "--debug shows the traceback."


def test_what_a_constructor_says_of_a_secret_is_masked(user: Any) -> None:
    user.classes(
        "class Own(Count):\n"
        "    def __init__(self, config, api_token, dsn):\n"
        "        raise ValueError(f'cannot use {api_token} at {dsn}')\n"
    )
    text = (
        "events:\n  - class: mine.py:Own\n"
        "    args: {api_token: hunter22, dsn: 'postgresql://u:hunter23@h/db'}"
    )
    with pytest.raises(PluginError) as caught:
        user.build(text)
    assert "cannot use *** at postgresql://u:***@h/db" in str(caught.value)


def test_a_model_whose_constructor_raises(user: Any) -> None:
    user.classes(_class("self, model_name", "raise OSError('no disk')", "Model"))
    with pytest.raises(PluginError, match=r"1:10: the model 'm' cannot be built, Own\(\) raised"):
        user.build("models: {m: 'mine.py:Own'}")


def test_ctrl_c_in_a_constructor_is_one(user: Any) -> None:
    user.classes(_class("self, config", "raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):
        user.build("events: ['mine.py:Own']")


def test_handlers_are_checked(user: Any) -> None:
    user.classes(
        "from pilotcli import HintPushHandler\n"
        "class Hints(HintPushHandler):\n"
        "    def __init__(self, config, depth=1): pass\n"
        "    def acquire_injected_data(self, sql): pass\n"
    )
    assert [spec.name for spec, _ in user.check("handlers: ['mine.py:Hints']").handlers]
    problems = user.refused("""\
handlers:
  - class: mine.py:Hints
    args: {deep: 1}
  - mine.py:Count
""")
    assert [one.partition("\n")[0] for one in problems] == [
        "pilot.yaml:3:12: the handler 'Hints': Hints takes no argument 'deep'",
        "pilot.yaml:4:5: the handler 'Count': Count is not a handler",
    ]


def test_the_configs_of_the_project_check(user: Any) -> None:
    from pathlib import Path

    from pilotcli.cli.scaffold import write_scaffold
    from pilotcli.plugins import check_plugins

    configs = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
    assert configs
    write_scaffold(user.path / "new")
    for path in [*configs, user.path / "new" / "pilot.yaml"]:
        plugins = check_plugins(load_config(path, environ={}))
        built = plugins.build_events(user.config, plugins.build_models())
        assert built
