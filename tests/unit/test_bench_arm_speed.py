"""The table of the arm's speed: its rows, and figures that fit together."""

import pytest
from fledge_hil.bench import arm_speed

pytest.importorskip("mujoco.batch")


def test_every_task_has_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arm_speed, "WORLDS", dict.fromkeys(arm_speed.WORLDS, 2))
    monkeypatch.setattr(arm_speed, "STEPS", 2)
    steps, batch = arm_speed.tables("so101", 1)
    assert [row[0] for row in steps.rows] == ["reach", "insertion", "insertion", "placement", "push"]
    assert [row[2] for row in steps.rows].count("pooled") == 1
    for row in steps.rows:
        physics, policy, micro = row[3:]
        substeps = 10 if row[0] == "reach" else 16
        assert float(physics or 0) == pytest.approx(substeps * float(policy or 0))
        assert float(policy or 0) * float(micro or 0) == pytest.approx(1e3)
    assert len(batch.rows) == 4
