module example.org/netsuite

go 1.19
