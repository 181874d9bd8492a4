require "include";
redirect "before@x.example";
if true { return; }
redirect "never@x.example";
