# image/kube/amd64
FROM me/net
COPY kube /

# image/net/amd64
FROM scratch
LABEL by="me" title=net

COPY net /
ARG revision
LABEL revision=$revision

# image/seed/amd64
FROM scratch
COPY seed /

# image/kube/arm
FROM me/net-arm
COPY kube /

# image/net/arm
FROM seed
LABEL by="me" title=net-arm

# For other architectures,  goes and the line stays
COPY qemu-arm /usr/bin/
COPY net /
ARG revision
LABEL revision=$revision

# image/seed/arm
FROM scratch
COPY seed /

# image/kube/s390x
FROM me/net-s390x
COPY kube /

# image/net/s390x
FROM seed
LABEL by="me" title=net-s390x

# For other architectures,  goes and the line stays
COPY qemu-s390x /usr/bin/
COPY net /
ARG revision
LABEL revision=$revision

# image/seed/s390x
FROM scratch
COPY seed /
