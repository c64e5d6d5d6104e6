"""Who may use how much: pure, whole numbers, nothing of ours imported.

``tree`` is the policy (groups, quotas) as arrays; ``changes`` judges a change of it; ``effective`` says
what guarantees are worth when capacity is lost; ``fair_share`` divides what there is (``apportionment`` is
its arithmetic, ``fair_share_oracle`` its sentence); ``admission`` keeps use and answers whether more may
start; ``order`` says whose turn it is; ``ledger`` and ``exchange`` say who owes whom. Answers that are "no"
are ``refusal.Refusal``; faults stand in ``errors``.
"""
