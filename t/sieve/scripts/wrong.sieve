keep;
nosuch;
