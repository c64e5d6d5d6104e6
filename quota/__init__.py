"""Who may use how much: pure, whole numbers, nothing of ours imported.

``tree`` is the policy (groups, quotas) as arrays; ``changes`` judges a change of it; ``effective`` says what
guarantees are worth when capacity is lost; ``fair_share`` divides what there is (``apportionment`` is its arithmetic,
``kernel`` has it compiled, ``fair_share_oracle`` is its sentence); ``admission`` keeps use and answers whether more
may start; ``order`` says whose turn it is; ``decay`` weighs past use and ``fair_tree`` orders by it; ``standing`` is
what lenders earn and surge costs, ``standing_rates`` at a moment; ``ledger`` and ``exchange`` say who owes whom.
Guarantees with a shape: ``topology`` is the forest of domains, ``packing`` says whether cells can all be held at
once, ``cells`` grants and binds them (``cell_choice``: where), and ``settlement`` says what becomes of them when
nodes fail; ``cell_shape`` is what a quota says of cells, ``cell_promises`` judges those of parents and children, and
``cell_places`` keeps a place for each beside what runs. Answers that are "no" are ``refusal.Refusal``; faults stand
in ``errors``.
"""
