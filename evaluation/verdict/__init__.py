"""The verdict: is the tuned model better than every arm by more than the margin, on the same test items?

Reading order, from scores to decision (`rule.rule_on` is the decision itself):

1. `paired_scores`: scores of the tuned model and of each arm, item by item.
2. `intervals`: a mean over items with its confidence interval, for single items and for clusters.
3. `compare`: the tuned model against one arm: difference, interval, p-value, detectable gain (also before any run).
4. `rule`: ship, judgement, keep the prompt, or need more data.
5. `pairing`: the steps above for a run and a baseline of a project.
6. `evidence`: slices, secondary metrics and the price, which decide nothing.
"""
