"""
The weeks after next, and when to say nothing
=============================================

Twenty years of made-up hindcasts, of eleven members each, with a bias, a drift and too
little spread; and the truth they were made from. They become probabilities of three
categories that are never much worse than the forecast that costs nothing: one third
each. With real ones only the first step is another one: `tilth.forcing.s2s.as_forecast`
reads archives by their own names, and `align_observations` lays observations beside
them.
"""

# %%
# Hindcasts of periods
# --------------------
# A forecast of a single day in week 5 is hopeless; of a fortnight, something is left.

from pathlib import Path

from tilth.forcing.s2s import (
    METHODS,
    Training,
    blend_forecast,
    lead_windows,
    plot_tercile_skill,
    score_terciles,
    simulated_hindcasts,
    skill_interval,
    tercile_forecast,
)

periods = {
    "week 1": (0, 7),
    "week 2": (7, 14),
    "weeks 3-4": (14, 28),
    "weeks 5-6": (28, 42),
}
world = simulated_hindcasts(cells=12, seed=11)
model = lead_windows(world["hindcast"], periods)
truth = lead_windows(world["observed"], periods)
print("starts:", model.sizes["start"], " members:", model.sizes["member"])

# %%
# Four ways to a probability
# --------------------------
# Members counted against the terciles of the observations; against the model's own;
# members mapped by quantiles; and a regression on their mean and variance. Each start
# learns from the starts of other years alone.

over = ("start", "cell")
training = Training(window=20)
skill, forecasts = {}, {}
for name in ("raw", "model-edges", "mapping", "regression"):
    made = tercile_forecast(model, truth, method=METHODS[name], training=training)
    forecasts[name] = made
    skill[name] = score_terciles(made, dim=over, members=11)
    numbers = " ".join(f"{value:+.2f}" for value in skill[name]["rpss"].values)
    print(f"{name:12s} {numbers}")

# %%
# Eleven members that know nothing lose 1/11 of skill by their number alone. That is the
# difference between these two; a regression, which counts nobody, does not pay it.

late = skill["model-edges"].sel(lead="weeks 5-6")
print(f"weeks 5-6, counted: RPSS {late.rpss:+.3f}, RPSS_D {late.rpss_d:+.3f}")

# %%
# As much belief as other years bear out
# --------------------------------------
# The weight of the forecast against climatology is fitted on the other years, over all
# cells together, and lowered by one standard error.

drawn = {
    name: blend_forecast(made, training=training, pool=("cell",))
    for name, made in forecasts.items()
}
for name, blend in drawn.items():
    found = score_terciles(blend, dim=over)
    limits = skill_interval(blend, dim=over)
    skill[f"{name}, blended"] = found.assign(
        lower=limits["lower"], upper=limits["upper"]
    )
    numbers = " ".join(f"{value:+.2f}" for value in found["rpss"].values)
    weights = " ".join(f"{w:.2f}" for w in blend["weight"].mean("start").values)
    print(f"{name + ', blended':22s} {numbers}   weights {weights}")

figure = plot_tercile_skill(
    {label: skill[label] for label in skill if not label.startswith(("raw", "mapp"))},
    caption="Skill by period; bars are 90 % when whole years are drawn again.",
)
Path("tercile_skill.png").write_bytes(figure.png)

# %%
# A forecast of real time
# -----------------------
# Starts of a later year learn from all hindcasts, and take their weight from them.

later = simulated_hindcasts(years=range(2020, 2021), cells=12, seed=12)
now = lead_windows(later["hindcast"], periods)
told = tercile_forecast(model, truth, now, METHODS["regression"], training=training)
final = blend_forecast(forecasts["regression"], told, training=training, pool=("cell",))
first = final.isel(start=0, cell=0).sel(lead="weeks 3-4")
shares = ", ".join(
    f"{float(first['probability'].sel(category=name)):.2f} {name}"
    for name in first["category"].values
)
print(f"weeks 3-4 from {first['start'].dt.strftime('%d %b %Y').item()}: {shares}")
print("figures: tercile_skill.png")
