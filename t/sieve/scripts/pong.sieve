require "include"; include "ping";
