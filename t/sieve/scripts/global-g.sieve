require ["include", "variables", "fileinto"]; global ["g"]; fileinto "${g}"; set "g" "from within";
