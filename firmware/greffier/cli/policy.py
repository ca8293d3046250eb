"""``greffier policy``: check a policy, run cases against the rules, explain a verdict."""



