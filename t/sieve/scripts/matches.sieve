require ["variables"]; if header :matches "subject" "*" { }
