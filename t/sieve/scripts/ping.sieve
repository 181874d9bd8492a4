require "include"; include "pong";
