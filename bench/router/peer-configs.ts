import { join } from "node:path";

export interface PeerSetting {
  /** Whatever the peer writes goes here. */
  readonly directory: string;
  readonly port: number;
  readonly instancePort: number;
  /** Run as root: nginx would give its worker another user, who may not enter `directory`. */
  readonly root: boolean;
}

/** Connections at the most; each takes two of the 20,000 files that a process may have open here. */
const CONNECTIONS = 9_000;

/**
 * One thread, as the router's JavaScript has one. The stick table is what a user of HAProxy sets up for sessions by
 * key: get or place, held in memory, gone with the process.
 */
export function haproxyConfig({ port, instancePort }: PeerSetting): string {
  return `
global
  nbthread 1
  maxconn ${CONNECTIONS}
defaults
  mode http
  option forwardfor
  timeout connect 5s
  timeout client 75s
  timeout server 75s
  timeout http-keep-alive 75s
  timeout tunnel 1h
frontend clients
  bind 127.0.0.1:${port}
  default_backend instances
backend instances
  balance leastconn
  stick-table type string len 64 size 1m expire 60s
  stick on url_param(room)
  option httpchk GET /healthz
  server one 127.0.0.1:${instancePort} check inter 2s
`;
}

/** One worker. nginx has no stick table without its commercial edition: a consistent hash of the key stands in. */
export function nginxConfig({ directory, port, instancePort, root }: PeerSetting): string {
  const path = (name: string) => join(directory, name);
  return `
daemon off;
${root ? "user root;" : ""}
worker_processes 1;
worker_rlimit_nofile ${2 * CONNECTIONS + 1_000};
pid ${path("nginx.pid")};
error_log ${path("error.log")} error;
events { worker_connections ${2 * CONNECTIONS}; }
http {
  access_log off;
  client_body_temp_path ${path("body")};
  proxy_temp_path ${path("proxy")};
  fastcgi_temp_path ${path("fastcgi")};
  uwsgi_temp_path ${path("uwsgi")};
  scgi_temp_path ${path("scgi")};
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream instances {
    hash $arg_room consistent;
    server 127.0.0.1:${instancePort};
    keepalive 256;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://instances;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_read_timeout 1h;
      proxy_send_timeout 1h;
    }
  }
}
`;
}
