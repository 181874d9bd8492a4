require ["variables", "fileinto"]; set "a" "theirs${a}"; fileinto "${a}";
