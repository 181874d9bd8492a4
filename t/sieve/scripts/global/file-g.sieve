require "fileinto"; fileinto "G";
