require "fileinto"; fileinto "A";
