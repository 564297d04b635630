// All that a user of the package `peer` writes. Its own command takes the port as an argument only.
import { PeerServer } from "peer";

PeerServer({ port: Number(process.env.PORT), host: process.env.HOST ?? "127.0.0.1" });
