"""The numbers that README.md and docs/ quote: a function of the experiment mini for each.

In Markdown ``<!--= context -->64<!--/-->`` quotes ``context``; ``make docs`` fills it in.
Numbers of an experiment are read from its artifacts, settings from its plan.
"""

from __future__ import annotations

import derived
from artifacts import FillError, Mini
from derived import percent, word

from zsl.claims import WORDS
from zsl.figures.fig03 import SPREAD

# Sizes and lengths


def n_sizes(mini: Mini) -> str:
    """Number of models in the suite main."""
    return word(len(mini.plan.run_ids("main")))


def smallest_model(mini: Mini) -> str:
    """Parameters of the smallest model of the suite main."""
    return f"{mini.csv('tables/table3.csv')['n_parameters'].min() / 1e3:.0f} thousand"


def largest_model(mini: Mini) -> str:
    """Parameters of the largest model of the suite main."""
    return f"{mini.csv('tables/table3.csv')['n_parameters'].max() / 1e3:.0f} thousand"


def steps_as_power(mini: Mini) -> str:
    """Optimizer steps of a run of the suite main, as a power of two."""
    n = derived.main(mini.plan).steps
    if n & (n - 1):
        raise FillError(f"steps_as_power: {n} steps are no power of two; quote them as they are")
    return f"2^{n.bit_length() - 1}"


def batch_tokens(mini: Mini) -> str:
    """Training tokens in a batch of the suite main."""
    return f"{derived.batch(derived.main(mini.plan)):,}"


def context(mini: Mini) -> str:
    """Tokens in a training sequence of the suite main."""
    return f"{derived.main(mini.plan).sequence_length}"


def tokens_read(mini: Mini) -> str:
    """Training tokens that a run of the suite main reads."""
    return f"{derived.tokens(derived.main(mini.plan)) / 1e6:.2g} million"


def most_measured(mini: Mini) -> str:
    """Evaluation tokens with a loss."""
    evaluation = mini.plan.experiment.corpora[derived.main(mini.plan).corpus].evaluation
    return f"{evaluation.sequences * derived.predictions(mini):,}"


def n_seeds(mini: Mini) -> str:
    """Runs of the repeated size, with seeds of their own."""
    ((_, again),) = mini.plan.seeds.items()
    return word(1 + len(again))


# Training text


def documents(mini: Mini) -> str:
    """Documents of the training text."""
    return f"{derived.manifest(mini)['documents'] / 1e3:.0f} thousand"


def characters(mini: Mini) -> str:
    """Characters of these documents."""
    sources = [source for source in derived.manifest(mini)["sources"] if source["use"] == "train"]
    return f"{sum(source['characters'] for source in sources) / 1e6:.0f} million"


def train_tokens(mini: Mini) -> str:
    """Tokens of these documents."""
    return f"{derived.manifest(mini)['train_tokens'] / 1e6:.1f} million"


def vocabulary(mini: Mini) -> str:
    """Entries of the tokenizer."""
    return f"{derived.manifest(mini)['vocab_size']:,}"


def window(mini: Mini) -> str:
    """Tokens in a row that training and evaluation text must not share."""
    return f"{mini.plan.experiment.corpora[derived.main(mini.plan).corpus].evaluation.window}"


def share_read(mini: Mini) -> str:
    """Part of the training tokens that a run of the suite main reads; an error above one."""
    share = derived.tokens(derived.main(mini.plan)) / derived.manifest(mini)["train_tokens"]
    if share > 1:
        raise FillError(f"share_read: a run reads the text {share:.2g} times; write another phrase")
    return percent(share)


def question_sources(mini: Mini) -> str:
    """Evaluation sets that the corpus of the suite optimizer is made of."""
    return word(len(mini.json("data/questions/manifest.json")["sources"]))


# Fits


def t_d_interval(mini: Mini) -> str:
    """The 95 % interval of t_d of the largest model by its own fit."""
    low, high = mini.fit(mini.plan.run_ids("main")[-1])["intervals"]["t_d"]
    return f"{low:,.0f} to {high:,.0f}"


def t_d_of_seeds(mini: Mini) -> str:
    """Range of t_d over the seeds of the repeated size."""
    ((run, again),) = mini.plan.seeds.items()
    found = [mini.fit(id)["t_d"] for id in (run, *again)]
    return f"{min(found):,.0f} to {max(found):,.0f}"


def fitted(mini: Mini, key: str) -> str:
    """A value of the fits of the suite main, from the smallest model."""
    return ", ".join(f"{mini.fit(run)[key]:.3g}" for run in mini.plan.run_ids("main"))


def largest_misfit(mini: Mini) -> str:
    """Largest RSLE of the fits of the suite main and its repeated runs."""
    ((_, again),) = mini.plan.seeds.items()
    return f"{max(mini.fit(run)['RSLE'] for run in (*mini.plan.run_ids('main'), *again)):.2g}"


# Interference


def n_cuts(mini: Mini) -> str:
    """First fitted steps that were tried of the largest model."""
    return derived.word(len(derived.orders(mini, "L_d", -1)))


def L_d_falls(mini: Mini) -> str:
    """At how many of these L_d falls with size."""
    return derived.word(sum(derived.orders(mini, "L_d", -1)))


def t_d_falls(mini: Mini) -> str:
    """At how many of these t_d falls with size."""
    return derived.word(sum(derived.orders(mini, "t_d", -1)))


def r_d_rises(mini: Mini) -> str:
    """At how many of these r_d rises with size."""
    return derived.word(sum(derived.orders(mini, "r_d", 1)))


def early_peak(mini: Mini) -> str:
    """Steps t at which D between t and 2t peaks before t_d / 4, range over sizes."""
    peaks = [derived.peak(mini, run) for run in mini.plan.run_ids("main")]
    return " to ".join(dict.fromkeys([f"{min(peaks):.0f}", f"{max(peaks):.0f}"]))


def between_frequencies_smallest(mini: Mini) -> str:
    """Part of D at the early peak of the smallest model between tokens of unlike frequency."""
    return percent(derived.between_frequencies(mini, mini.plan.run_ids("main")[0]))


def between_frequencies_largest(mini: Mini) -> str:
    """The same of the largest model."""
    return percent(derived.between_frequencies(mini, mini.plan.run_ids("main")[-1]))


def rise_factor(mini: Mini) -> str:
    """Factor of t_d within which the rise of D co-occurs with deceleration (Fig. 3)."""
    return word(SPREAD)


def claim(mini: Mini, figure: str, n: str) -> str:
    """Verdict on claim ``n`` of a figure, and its interval over the seeds of the repeated size."""
    judged = mini.claims(figure)[int(n)]
    ((low, high),) = judged.intervals.values()
    return f"**{WORDS[judged.verdict]}**: {low:.2g} to {high:.2g}"


def once(mini: Mini, figure: str, n: str) -> str:
    """Its values for the sizes with one seed, from the smallest."""
    judged = mini.claims(figure)[int(n)]
    repeated = set(judged.intervals)
    return ", ".join(f"{v:.2g}" for label, v in judged.values.items() if label not in repeated)


def cosine_after(mini: Mini) -> str:
    """Largest absolute cosine of an update with the evaluation gradient after t_d (Fig. 11)."""
    return f"{derived.after(mini, 'fig11')['cos'].abs().max():.2f}"


def one_step_D(mini: Mini) -> str:
    """Smallest D of one update on the evaluation tokens after t_d (Fig. 16)."""
    return f"{derived.after(mini, 'fig16')['D_eval'].min():.2f}"


def items_whole(mini: Mini) -> str:
    """Part of the items of downstream tasks that fits the models' context."""
    rows = mini.curve("fig17")
    return percent(1 - rows["cut"].sum() / rows["items"].sum())


# Ablations


def ablation_batches(mini: Mini) -> str:
    """Tokens in a batch of the suite batch_sequence, as multiples of those of main."""
    return derived.multiples(mini.plan)


def paper_ablation_batches(mini: Mini) -> str:
    """The same in the paper."""
    return derived.multiples(mini.paper)


def rest_AdamW(mini: Mini) -> str:
    """Step at which AdamW leaves the entropy of token frequencies, to tens."""
    return derived.rest(mini, "AdamW")


def rest_AdEMAMix(mini: Mini) -> str:
    """The same of AdEMAMix."""
    return derived.rest(mini, "AdEMAMix")


def rest_C_AdamW(mini: Mini) -> str:
    """The same of C-AdamW."""
    return derived.rest(mini, "C-AdamW")


def rest_Muon(mini: Mini) -> str:
    """The same of Muon."""
    return derived.rest(mini, "Muon")


# The paper


def paper_batch_tokens(mini: Mini) -> str:
    """Training tokens in a batch of the paper."""
    return f"{derived.batch(derived.main(mini.paper)):,}"
