require "copy"; redirect :copy "count@x.example";
